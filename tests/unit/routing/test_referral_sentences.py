"""The German sentence about a referral, for every way it can go."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import pytest
from routing_builders import (
    AGREEMENTS,
    AUGUST_2017,
    MARCH_2017,
    NOW,
    SEEN,
    a_case,
    a_concern,
    a_routed_case,
    opened,
    received,
    state_after,
)

from services.routing.domain import sentences
from services.routing.domain.case import Booking, Clock, ClockKind, Referral, RoutedCase
from services.routing.domain.decisions import amend
from services.routing.domain.replies import ask_back, decline
from services.routing.domain.sentences import REASONS, STATES, sentence
from shared.contracts.base import derived_id
from shared.contracts.codes import (
    Actor,
    AgeBand,
    AssignmentReason,
    ClarificationTopic,
    ClosingReason,
    Concern,
    DeclineReason,
    FailureReason,
    HandOnReason,
    LegalBasisKind,
    PauseReason,
    ReferralState,
    ServiceOutcome,
    SubTopic,
    UnplacedReason,
)
from shared.contracts.intake import CaseAmended, LegalBasis
from shared.contracts.partners import ReplyClarificationRequested, ReplyDeclined


def said(case: RoutedCase, number: int = 0, **placed: Any) -> str:
    return sentence(case, case.referrals[number], AGREEMENTS.in_force(case.day), **placed)


def in_state(case: RoutedCase, **fields: Any) -> RoutedCase:
    return case.with_referrals([case.referrals[0].model_copy(update=fields)])


def test_an_offer_names_agreement_partner_rule_and_term() -> None:
    assert said(a_routed_case(Concern.DEBT, Concern.MONEY_MANAGEMENT)) == (
        "Für die Schuldnerberatung und die Beratung zum Umgang mit Geld ist nach der Vereinbarung vom 9. Januar 2017 "
        "der Partner Schuldnerberatung zuständig (Regel „schuldnerberatung-money“); "
        "er hat bis zum 30. November 2026 Zeit zu antworten."
    )


def test_what_the_agreement_gives_the_office_is_the_offices() -> None:
    case = a_routed_case(Concern.HOUSING_SEARCH, age=AgeBand.TEENAGER, received_at=AUGUST_2017)

    assert said(case) == (
        "Für die Wohnungssuche ist nach der Vereinbarung vom 1. Juli 2017 das Integrationsbüro selbst zuständig "
        "(Regel „office-work-home-minors“); die Anfrage liegt beim Integrationsbüro."
    )


def test_who_could_not_be_asked_is_said_with_the_reason() -> None:
    case = a_routed_case(Concern.CHILDCARE, excluded_partners=("awo",))
    assert said(case) == (
        "Für die Kinderbetreuung konnte niemand angefragt werden, weil die Person nicht an die Partner vermittelt "
        "werden möchte, die noch in Frage kämen; die Anfrage liegt beim Integrationsbüro."
    )
    case = a_routed_case(Concern.GERMAN_COURSE, received_at=MARCH_2017.replace(year=2012))
    assert said(case) == (
        "Für den Deutschkurs konnte niemand angefragt werden, weil am 14. März 2012 keine Vereinbarung galt; "
        "die Anfrage liegt beim Integrationsbüro."
    )
    case = a_routed_case(Concern.DEBT, legal_basis=LegalBasis(kind=LegalBasisKind.NONE))
    assert "Rechtsgrundlage" in said(case)
    gap = in_state(case, unplaced=UnplacedReason.NO_RULE)
    assert "niemanden vorsieht (Hofheim am Taunus, 27 bis 64 Jahre)" in said(gap)


def test_who_chose_a_partner_is_said() -> None:
    case = a_routed_case(Concern.DEBT)
    assert said(case, by=Actor.OFFICE, reason=AssignmentReason.AGREED_BY_PHONE).startswith(
        "Für die Schuldnerberatung hat das Integrationsbüro den Partner Schuldnerberatung angefragt "
        "(telefonisch vereinbart); er hat"
    )
    former = Referral(id=derived_id("former"), partner_id="awo", state=ReferralState.HANDED_ON, concerns=(), since=NOW)
    case = in_state(case, follows=former.id).with_referrals([former])
    assert said(case, by=Actor.PARTNER, reason=HandOnReason.CHANGED_NEED).startswith(
        "Für die Schuldnerberatung hat der Partner Arbeiterwohlfahrt den Partner Schuldnerberatung vorgeschlagen "
        "(anderer Bedarf); er hat"
    )


def test_what_waits_says_for_what() -> None:
    care, home = a_concern(Concern.CHILDCARE), a_concern(Concern.HOUSING_SEARCH)
    course = a_concern(Concern.INTEGRATION_COURSE).model_copy(update={"after": (care.concern_id,)})
    case = state_after(opened(a_case(concerns=(care, home, course))))
    held = next(number for number, r in enumerate(case.referrals) if r.state is ReferralState.HELD)

    assert said(case, held) == (
        "Für den Integrationskurs wird erst dann jemand angefragt, wenn das Anliegen Kinderbetreuung erledigt ist; "
        "die Anfrage wartet so lange."
    )
    both = course.model_copy(update={"after": (care.concern_id, home.concern_id)})
    case = case.model_copy(update={"facts": case.facts.model_copy(update={"concerns": (care, home, both)})})
    assert "wenn Kinderbetreuung und Wohnungssuche erledigt sind" in said(case, held)


def test_a_sheet_answers() -> None:
    case = in_state(
        a_routed_case(Concern.DEBT), state=ReferralState.INFORMED, partner_id=None, sheet="aemter", clock=None
    )

    assert said(case) == (
        "Für die Schuldnerberatung gibt es das Informationsblatt „aemter“ (Regel „schuldnerberatung-money“); "
        "es muss niemand angefragt werden."
    )


def test_terms_and_appointments_are_said_in_local_time() -> None:
    case = a_routed_case(Concern.DEBT)
    late = Clock.until(ClockKind.GRACE, NOW.date() + timedelta(days=2))
    assert said(in_state(case, clock=late)).endswith(
        "er hat nicht rechtzeitig geantwortet und noch eine Nachfrist bis zum 25. November 2026."
    )
    starts_at = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    booked = in_state(
        case,
        state=ReferralState.SCHEDULED,
        booking=Booking(appointment_id=derived_id("appointment"), starts_at=starts_at),
    )
    assert said(booked).endswith("der Termin ist am 1. Dezember 2026 um 00:30 Uhr.")


def test_a_reply_is_said_with_its_reason() -> None:
    case = a_routed_case(Concern.DEBT)
    id_ = case.referrals[0].id
    asked = ask_back(
        SEEN,
        received(
            ReplyClarificationRequested(referral_id=id_, topic=ClarificationTopic.DOCUMENTS), by="schuldnerberatung"
        ),
        case,
        NOW,
    )
    assert "er hat zurückgefragt und wartet bis zum " in said(state_after(asked))
    assert said(state_after(asked)).endswith(" auf eine Antwort (Unterlagen).")
    reply = ReplyDeclined(referral_id=id_, reason=DeclineReason.LANGUAGE)
    declined = state_after(decline(SEEN, received(reply, by="schuldnerberatung"), case, NOW))
    assert said(declined).endswith("er hat abgelehnt (Sprache fehlt).")
    assert "weil alle zuständigen Partner schon gefragt wurden" in said(declined, 1)


def test_a_referral_whose_concern_was_struck_out_has_its_sentence() -> None:
    case = a_routed_case(Concern.DEBT)
    amended = CaseAmended(**dict(a_case(Concern.GERMAN_COURSE)))

    case = state_after(amend(SEEN, received(amended), case, NOW))

    assert said(case).startswith("Für ein gestrichenes Anliegen ")


@pytest.mark.parametrize("state", ReferralState)
@pytest.mark.parametrize("reason", [None, "of-a-newer-version"])
def test_every_state_has_its_words_also_without_a_reason_that_is_known(state: ReferralState, reason: str) -> None:
    booking = Booking(appointment_id=derived_id("appointment"), starts_at=NOW)
    case = in_state(a_routed_case(Concern.DEBT), state=state, reason=reason, booking=booking)

    words = said(case)

    assert STATES[state].partition("{")[0] in words
    assert not {"{", "}", "  ", "()", " ."} & {words[at : at + n] for at in range(len(words)) for n in (1, 2)}


WORDS: Final[list[tuple[type[StrEnum], Mapping[Any, Any]]]] = [
    (Concern, sentences.FIELDS),
    (SubTopic, sentences.SUB_TOPICS),
    (AgeBand, sentences.AGES),
    (UnplacedReason, sentences.UNPLACED),
    (ReferralState, sentences.STATES),
    (AssignmentReason, sentences.ASSIGNED),
    (HandOnReason, sentences.HANDED_ON),
    (DeclineReason, REASONS[ReferralState.DECLINED]),
    (ClarificationTopic, REASONS[ReferralState.WAITING]),
    (PauseReason, REASONS[ReferralState.ON_HOLD]),
    (HandOnReason, REASONS[ReferralState.HANDED_ON]),
    (ServiceOutcome, REASONS[ReferralState.COMPLETED]),
    (FailureReason, REASONS[ReferralState.FAILED]),
    (ClosingReason, REASONS[ReferralState.CLOSED]),
]


@pytest.mark.parametrize(("codes", "words"), WORDS)
def test_every_code_has_its_words(codes: type[StrEnum], words: Mapping[Any, Any]) -> None:
    assert set(words) == set(codes)
    assert all(words.values())
