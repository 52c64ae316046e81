"""Every sample case against what its expectation allows, under both divisions of tasks."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from routing_builders import AGREEMENTS, NOW, case_number, events_of, received

from services.routing.domain.agreement import Agreements
from services.routing.domain.case import RoutedCase
from services.routing.domain.decisions import route
from services.routing.domain.situation import Situation
from shared.contracts.base import derived_id
from shared.contracts.codes import AgeBand, LegalBasisKind
from shared.contracts.intake import CaseOpened, ConcernFacts, LegalBasis
from shared.contracts.routing import ReferralOffered
from shared.days import local_day
from shared.pipeline.decisions import Decision

INTAKE: Final = Path(__file__).parents[3] / "examples" / "intake"
EXPECTED: Final = json.loads((INTAKE / "expected.json").read_text(encoding="utf-8"))
CASES: Final = [json.loads(line) for line in (INTAKE / "cases.ndjson").read_text(encoding="utf-8").splitlines()]
ROUTED: Final = [case for case in CASES if EXPECTED[case["source_reference"]]["divisions"]["2017-01-09"]["concerns"]]
UPPER_EDGES: Final = {
    5: AgeBand.INFANT,
    11: AgeBand.CHILD,
    17: AgeBand.TEENAGER,
    26: AgeBand.YOUNG_ADULT,
    64: AgeBand.ADULT,
}
DENOMINATIONAL: Final = ("caritas", "diakonie")

samples = pytest.mark.parametrize("case", ROUTED, ids=lambda case: case["source_reference"])
divisions = pytest.mark.parametrize("version", ["2017-01-09", "2017-07-01"])
turns = pytest.mark.parametrize("turn", range(6))  # every combination of turns among two and among three takers


def age_band(person: Mapping[str, Any], on: date) -> AgeBand:
    born = date.fromisoformat(person["birth_date"])
    years = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
    return next((band for edge, band in UPPER_EDGES.items() if years <= edge), AgeBand.SENIOR)


def opened(case: Mapping[str, Any], turn: int) -> CaseOpened:
    """The case as intake tells it to routing, at this turn of the alternation."""
    received_at = datetime.fromisoformat(case["received_at"])
    persons = {person["ref"]: person for person in case["persons"]}
    redirected = EXPECTED[case["source_reference"]]["redirected"]
    return CaseOpened(
        case_id=case_number(turn),
        person_id=derived_id("p1"),
        received_at=received_at,
        municipality=case["municipality"],
        languages=(case["languages"]["first"],),
        urgency=case["urgency"],
        legal_basis=LegalBasis(
            kind=LegalBasisKind(case["legal_basis"]["kind"]), valid_until=case["legal_basis"].get("expires_on")
        ),
        excluded_partners=DENOMINATIONAL if "not_denominational" in case["wishes"] else (),
        needs=tuple(wish for wish in case["wishes"] if wish != "not_denominational"),
        concerns=tuple(
            ConcernFacts(
                concern_id=derived_id(concern["code"]),
                code=concern["code"],
                sub_topic=concern.get("sub_topic"),
                person_id=derived_id(concern["for_person"]),
                age_band=age_band(persons[concern["for_person"]], local_day(received_at)),
            )
            for concern in case["concerns"]
            if concern["code"] not in redirected
        ),
    )


def under(version: str) -> Agreements:
    """As if this division had always been in force."""
    [term] = [term for term in AGREEMENTS.terms if term.version == version]
    return Agreements((term.model_copy(update={"valid_from": date.min, "valid_to": date.max}),))


def routed(case: Mapping[str, Any], agreements: Agreements, turn: int = 0) -> Decision[RoutedCase]:
    return route(Situation(agreements), received(opened(case, turn)), None, NOW)


def outcomes(decision: Decision[RoutedCase]) -> dict[str, str]:
    """Who has each concern."""
    assert decision.state is not None
    return {
        concern.code.value: referral.partner_id or "office"
        for referral in decision.state.referrals
        for concern in decision.state.concerns_of(referral)
    }


@samples
@divisions
@turns
def test_each_concern_goes_where_it_is_best_placed(case: Mapping[str, Any], version: str, turn: int) -> None:
    expected = EXPECTED[case["source_reference"]]["divisions"][version]["concerns"]

    found = outcomes(routed(case, under(version), turn))

    assert found.keys() == expected.keys()
    misplaced = {code: taker for code, taker in found.items() if taker not in expected[code]["preferred"]}
    assert misplaced == {}


@samples
@divisions
@turns
def test_no_more_and_no_fewer_partners_are_asked_than_expected(
    case: Mapping[str, Any], version: str, turn: int
) -> None:
    least, most = EXPECTED[case["source_reference"]]["divisions"][version]["partner_referrals"]

    offers = events_of(routed(case, under(version), turn), ReferralOffered)

    assert least <= len(offers) <= most


@samples
def test_the_term_in_force_on_arrival_decides(case: Mapping[str, Any]) -> None:
    divided_like = EXPECTED[case["source_reference"]]["divided_like"]

    assert outcomes(routed(case, AGREEMENTS)) == outcomes(routed(case, under(divided_like)))


@samples
def test_the_wishes_reach_the_partner_that_books(case: Mapping[str, Any]) -> None:
    expected = EXPECTED[case["source_reference"]]["needs_at_booking"]

    offers = events_of(routed(case, AGREEMENTS), ReferralOffered)

    assert [sorted(offer.needs) for offer in offers] == [sorted(expected)] * len(offers)
