"""Who is asked to take the concerns of an opened case."""

from datetime import UTC, date, datetime

import pytest
from routing_builders import (
    AGREEMENTS,
    AUGUST_2017,
    MARCH_2017,
    NOW,
    SEEN,
    a_case,
    a_concern,
    case_number,
    events_of,
    opened,
    partners_asked,
    received,
    state_after,
)

from services.routing.domain.agreement import Agreement, Agreements
from services.routing.domain.decisions import route
from services.routing.domain.situation import Situation
from shared.contracts.base import derived_id
from shared.contracts.codes import (
    AgeBand,
    Concern,
    LegalBasisKind,
    Municipality,
    Need,
    ReferralState,
    UnplacedReason,
)
from shared.contracts.intake import LegalBasis
from shared.contracts.routing import CaseProgressed, ReferralOffered, ReferralUnplaced


def an_agreement(**changes: object) -> Agreements:
    """The term of January 2017 with something else in it."""
    return Agreements((Agreement.model_validate(AGREEMENTS.terms[0].model_dump() | changes),))


@pytest.mark.parametrize(("day", "partner"), [(MARCH_2017, "awo"), (AUGUST_2017, "diakonie")])
def test_a_19_year_old_looking_for_vocational_training_goes_where_the_agreement_of_the_day_says(
    day: datetime, partner: str
) -> None:
    case = a_case(Concern.VOCATIONAL_TRAINING, age=AgeBand.YOUNG_ADULT, received_at=day)

    [offer] = events_of(opened(case), ReferralOffered)

    assert offer.partner_id == partner


@pytest.mark.parametrize(
    ("moment", "partner"),
    [(datetime(2017, 6, 30, 21, 59, tzinfo=UTC), "awo"), (datetime(2017, 6, 30, 22, 1, tzinfo=UTC), "diakonie")],
)
def test_a_term_ends_at_midnight_in_the_district(moment: datetime, partner: str) -> None:
    case = a_case(Concern.VOCATIONAL_TRAINING, age=AgeBand.YOUNG_ADULT, received_at=moment)

    assert partners_asked(opened(case)) == {partner}


def test_one_partner_is_asked_once_for_all_its_concerns() -> None:
    case = a_case(Concern.JOB_SEARCH, Concern.DEBT, Concern.CHILDCARE)

    offers = {offer.partner_id: offer for offer in events_of(opened(case), ReferralOffered)}

    assert {partner: [c.code for c in offer.concerns] for partner, offer in offers.items()} == {
        "awo": [Concern.JOB_SEARCH, Concern.CHILDCARE],
        "schuldnerberatung": [Concern.DEBT],
    }


def test_age_is_that_of_the_person_with_the_concern() -> None:
    child = a_concern(Concern.SCHOOL_EDUCATION, age=AgeBand.CHILD)
    parent = a_concern(Concern.SCHOOL_EDUCATION, age=AgeBand.ADULT)
    case = a_case(received_at=AUGUST_2017, concerns=(child, parent.model_copy(update={"concern_id": derived_id("2")})))

    assert partners_asked(opened(case)) == {"diakonie", "awo"}


def test_an_offer_names_agreement_and_rules_and_gives_working_days_from_now() -> None:
    [offer] = events_of(opened(a_case(Concern.DEBT)), ReferralOffered)

    assert (offer.agreement, offer.rules) == ("2017-01-09", ("schuldnerberatung-money",))
    assert (NOW.date(), offer.respond_by) == (date(2026, 11, 23), date(2026, 11, 30))


def test_nobody_has_to_answer_on_a_holiday() -> None:
    decision = route(SEEN, received(a_case(Concern.DEBT)), None, datetime(2026, 12, 24, 9, tzinfo=UTC))

    [offer] = events_of(decision, ReferralOffered)
    assert offer.respond_by == date(2027, 1, 4)  # the fifth working day, after the 28th to the 31st


def test_a_partner_learns_no_town_and_no_need_beyond_its_agreement() -> None:
    partners = AGREEMENTS.terms[0].partners
    agreements = an_agreement(partners=[p.model_dump() | {"needs": [Need.STEP_FREE_ACCESS]} for p in partners])
    case = a_case(
        Concern.DEBT,
        municipality=Municipality.KRIFTEL,
        needs=(Need.FEMALE_COUNSELLOR, Need.STEP_FREE_ACCESS),
    )

    [offer] = events_of(route(Situation(agreements), received(case), None, NOW), ReferralOffered)

    assert offer.needs == (Need.STEP_FREE_ACCESS,)
    assert "Kriftel" not in offer.model_dump_json()


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"legal_basis": LegalBasis(kind=LegalBasisKind.NONE)}, UnplacedReason.NO_LEGAL_BASIS),
        (
            {"legal_basis": LegalBasis(kind=LegalBasisKind.CONSENT, valid_until=date(2017, 3, 13))},
            UnplacedReason.NO_LEGAL_BASIS,
        ),
        (
            {"legal_basis": LegalBasis(kind=LegalBasisKind.CONSENT, partners=("awo",))},
            UnplacedReason.NO_LEGAL_BASIS,
        ),
        ({"legal_basis": LegalBasis(kind=LegalBasisKind.CONSENT, concerns=())}, UnplacedReason.NO_LEGAL_BASIS),
        ({"excluded_partners": ("schuldnerberatung",)}, UnplacedReason.EXCLUDED_BY_WISH),
        ({"received_at": datetime(2016, 12, 1, tzinfo=UTC)}, UnplacedReason.NO_AGREEMENT),
    ],
)
def test_what_nobody_may_be_asked_for_is_cleared_by_the_office(
    facts: dict[str, object], reason: UnplacedReason
) -> None:
    decision = opened(a_case(Concern.DEBT, Concern.MONEY_MANAGEMENT, **facts))

    [unplaced] = events_of(decision, ReferralUnplaced)
    assert unplaced.reason is reason
    assert len(unplaced.concerns) == 2
    assert partners_asked(decision) == set()


def test_a_field_without_a_rule_is_cleared_by_the_office() -> None:
    agreements = an_agreement(rules=[AGREEMENTS.terms[0].rules[0].model_dump()])

    decision = route(Situation(agreements), received(a_case(Concern.DEBT)), None, NOW)

    assert [gap.reason for gap in events_of(decision, ReferralUnplaced)] == [UnplacedReason.NO_RULE]


def test_each_reason_has_its_own_clearing() -> None:
    case = a_case(
        Concern.DEBT,
        Concern.HOUSING_SEARCH,
        age=AgeBand.TEENAGER,
        received_at=AUGUST_2017,
        excluded_partners=("schuldnerberatung",),
    )

    reasons = {gap.reason for gap in events_of(opened(case), ReferralUnplaced)}

    assert reasons == {UnplacedReason.EXCLUDED_BY_WISH, UnplacedReason.OFFICE_TASK}


def test_a_legal_basis_holds_on_its_last_day() -> None:
    last_day = LegalBasis(kind=LegalBasisKind.CONSENT, valid_until=date(2017, 3, 14))

    assert partners_asked(opened(a_case(Concern.DEBT, legal_basis=last_day))) == {"schuldnerberatung"}


def test_general_concerns_alternate_between_the_office_and_the_partners() -> None:
    asked = [partners_asked(opened(a_case(Concern.GENERAL, case_id=case_number(turn)))) for turn in range(6)]

    assert asked == [set(), {"caritas"}, {"diakonie"}] * 2


def test_the_alternation_passes_over_excluded_partners() -> None:
    excluded = ("caritas", "diakonie")
    cases = [a_case(Concern.GENERAL, case_id=case_number(turn), excluded_partners=excluded) for turn in range(3)]

    assert [partners_asked(opened(case)) for case in cases] == [set()] * 3


def test_the_alternation_asks_only_partners_the_legal_basis_covers() -> None:
    basis = LegalBasis(kind=LegalBasisKind.CONSENT, partners=("diakonie",))
    cases = [a_case(Concern.GENERAL, case_id=case_number(turn), legal_basis=basis) for turn in range(2)]

    assert [partners_asked(opened(case)) for case in cases] == [set(), {"diakonie"}]


def test_the_standings_are_told_once_and_last() -> None:
    decision = opened(a_case(Concern.DEBT, Concern.GENERAL, case_id=case_number(0)))

    [progress] = events_of(decision, CaseProgressed)
    assert decision.events[-1] == progress
    assert {(standing.partner_id, standing.state) for standing in progress.standings} == {
        ("schuldnerberatung", ReferralState.OFFERED),
        (None, ReferralState.CLEARING),
    }


def test_a_repeated_cause_makes_the_same_referrals() -> None:
    case = a_case(Concern.DEBT, Concern.GENERAL)

    assert opened(case) == opened(case)


def test_a_case_that_is_known_is_not_opened_again() -> None:
    case = a_case(Concern.DEBT)

    decision = route(SEEN, received(case, cause="another"), state_after(opened(case)), NOW)

    assert decision.state is None
    assert decision.events == ()
