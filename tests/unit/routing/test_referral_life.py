"""What replies, appointments, amendments and withdrawals do to the referrals of a case."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from routing_builders import (
    NOW,
    PERSON,
    SEEN,
    a_case,
    a_concern,
    a_routed_case,
    case_number,
    events_of,
    partners_asked,
    received,
    state_after,
)

from services.routing.domain.case import KEPT, Referral, RoutedCase
from services.routing.domain.decisions import amend, schedule, unschedule, withdraw
from services.routing.domain.replies import accept, decline
from shared.contracts.base import derived_id
from shared.contracts.codes import (
    AppointmentMode,
    CancellationReason,
    Concern,
    DeclineReason,
    LegalBasisKind,
    Need,
    ReferralState,
    RejectionReason,
    UnplacedReason,
    WithdrawalReason,
)
from shared.contracts.intake import CaseAmended, CaseWithdrawn, ConcernFacts, LegalBasis
from shared.contracts.partners import ReplyAccepted, ReplyDeclined
from shared.contracts.routing import (
    MOST_STANDINGS,
    CaseProgressed,
    ReferralAccepted,
    ReferralAmended,
    ReferralCancelled,
    ReferralDeclined,
    ReferralOffered,
    ReferralScheduled,
    ReferralUnplaced,
    ReferralWithdrawn,
    ReplyRejected,
)
from shared.contracts.scheduling import AppointmentBooked, AppointmentCancelled
from shared.envelope import Cause
from shared.pipeline.decisions import Decision

STARTS_AT: Final = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
APPOINTMENT: Final = derived_id("appointment")


def accepted(case: RoutedCase, *, by: str, referral_id: str | None = None) -> Decision[RoutedCase]:
    reply = ReplyAccepted(referral_id=referral_id or referral_of(case, by).id)
    return accept(SEEN, received(reply, by=by), case, NOW)


def declined(case: RoutedCase, *, by: str, referral_id: str | None = None) -> Decision[RoutedCase]:
    reply = ReplyDeclined(referral_id=referral_id or referral_of(case, by).id, reason=DeclineReason.CAPACITY)
    return decline(SEEN, received(reply, by=by), case, NOW)


def booked(case: RoutedCase, referral: Referral, appointment_id: str = APPOINTMENT) -> Decision[RoutedCase]:
    event = AppointmentBooked(
        case_id=case.id,
        referral_id=referral.id,
        partner_id=referral.partner_id or "nobody",
        appointment_id=appointment_id,
        person_id=PERSON,
        starts_at=STARTS_AT,
        minutes=30,
        place="integrationsbuero",
        mode=AppointmentMode.ON_SITE,
        languages=("ar",),
    )
    return schedule(SEEN, received(event), case, NOW)


def cancelled(case: RoutedCase, referral: Referral, appointment_id: str = APPOINTMENT) -> Decision[RoutedCase]:
    event = AppointmentCancelled(
        case_id=case.id,
        referral_id=referral.id,
        partner_id=referral.partner_id or "nobody",
        appointment_id=appointment_id,
        person_id=PERSON,
        reason=CancellationReason.WITHDRAWN,
    )
    return unschedule(SEEN, received(event), case, NOW)


def withdrawn(case: RoutedCase) -> Decision[RoutedCase]:
    event = CaseWithdrawn(case_id=case.id, reason=WithdrawalReason.BY_PERSON)
    return withdraw(SEEN, received(event), case, NOW)


def amended(case: RoutedCase, *concerns: ConcernFacts, **facts: Any) -> Decision[RoutedCase]:
    event = CaseAmended(**dict(case.facts) | {"concerns": concerns} | facts)
    return amend(SEEN, received(event), case, NOW)


def referral_of(case: RoutedCase, partner_id: str | None) -> Referral:
    [referral] = [r for r in case.open_referrals if r.partner_id == partner_id]
    return referral


def changes_nothing(decision: Decision[RoutedCase]) -> bool:
    return decision.state is None and decision.events == ()


def test_an_acceptance_tells_what_a_booking_needs() -> None:
    case = a_routed_case(Concern.DEBT, Concern.MONEY_MANAGEMENT, Concern.JOB_SEARCH, needs=(Need.INTERPRETER_ON_SITE,))

    decision = accepted(case, by="schuldnerberatung")

    [event] = events_of(decision, ReferralAccepted)
    assert event.codes == (Concern.DEBT, Concern.MONEY_MANAGEMENT)
    assert (event.person_id, event.languages, event.needs) == (PERSON, ("ar",), (Need.INTERPRETER_ON_SITE,))
    assert referral_of(state_after(decision), "schuldnerberatung").state is ReferralState.ACCEPTED


def test_a_declined_concern_goes_to_the_next_partner_as_a_linked_referral() -> None:
    case = a_routed_case(Concern.GENERAL, case_id=case_number(7))
    first = referral_of(case, "caritas")

    decision = declined(case, by="caritas")

    assert [event.reason for event in events_of(decision, ReferralDeclined)] == [DeclineReason.CAPACITY]
    [offer] = events_of(decision, ReferralOffered)
    successor = referral_of(state_after(decision), "diakonie")
    assert offer.referral_id == successor.id
    assert (successor.follows, successor.concerns) == (first.id, first.concerns)


def test_who_declined_a_concern_is_not_asked_for_it_again() -> None:
    case = a_routed_case(Concern.GENERAL, case_id=case_number(1))
    asked = []
    while case.open_referrals[0].partner_id:
        partner = case.open_referrals[0].partner_id
        asked.append(partner)
        case = state_after(declined(case, by=partner))

    assert len(asked) == len(set(asked))
    assert case.open_referrals[0].unplaced is UnplacedReason.OFFICE_TASK


def test_a_concern_that_every_taker_declined_is_cleared_by_the_office() -> None:
    decision = declined(a_routed_case(Concern.DEBT, Concern.JOB_SEARCH), by="awo")

    [gap] = events_of(decision, ReferralUnplaced)
    assert gap.reason is UnplacedReason.ALL_ASKED
    assert gap.concerns == (a_concern(Concern.JOB_SEARCH).concern_id,)


def test_partners_that_choose_the_same_id_for_their_replies_leave_two_referrals_behind() -> None:
    case = a_routed_case(Concern.DEBT, Concern.JOB_SEARCH)
    chosen = Cause.begin()
    for partner in ("schuldnerberatung", "awo"):
        reply = ReplyDeclined(referral_id=referral_of(case, partner).id, reason=DeclineReason.CAPACITY)
        case = state_after(decline(SEEN, replace(received(reply, by=partner), cause=chosen), case, NOW))

    assert [len(referral.concerns) for referral in case.open_referrals] == [1, 1]


@pytest.mark.parametrize("reply", [accepted, declined])
def test_an_unknown_and_a_foreign_referral_are_rejected_alike(reply: Any) -> None:
    case = a_routed_case(Concern.DEBT)
    foreign = reply(case, by="awo", referral_id=referral_of(case, "schuldnerberatung").id)
    unknown = reply(None, by="awo", referral_id=derived_id("no such referral"))

    assert foreign == unknown
    [rejected] = foreign.events
    assert rejected == ReplyRejected(
        partner_id="awo",
        rejection_id=derived_id("partner.awo.replies.v1", "3", "42"),
        partition=3,
        offset=42,
        reason=RejectionReason.UNKNOWN_REFERRAL,
    )


def test_what_the_office_clears_is_no_partners_to_answer() -> None:
    case = a_routed_case(Concern.DEBT, legal_basis=LegalBasis(kind=LegalBasisKind.NONE))

    decision = accepted(case, by="schuldnerberatung", referral_id=referral_of(case, None).id)

    assert [event.reason for event in events_of(decision, ReplyRejected)] == [RejectionReason.UNKNOWN_REFERRAL]


@pytest.mark.parametrize("answer", [accepted, declined, withdrawn])
@pytest.mark.parametrize("reply", [accepted, declined])
def test_a_reply_to_a_referral_that_is_not_open_to_answers_is_rejected(answer: Any, reply: Any) -> None:
    case = a_routed_case(Concern.DEBT)
    id_ = referral_of(case, "schuldnerberatung").id
    after = state_after(withdrawn(case) if answer is withdrawn else answer(case, by="schuldnerberatung"))

    decision = reply(after, by="schuldnerberatung", referral_id=id_)

    assert decision.state is None
    assert [event.reason for event in events_of(decision, ReplyRejected)] == [RejectionReason.WRONG_STATE]


def test_a_booked_appointment_is_told_to_the_partner_and_in_the_standings() -> None:
    case = state_after(accepted(a_routed_case(Concern.DEBT), by="schuldnerberatung"))

    decision = booked(case, referral_of(case, "schuldnerberatung"))

    [told] = events_of(decision, ReferralScheduled)
    assert (told.starts_at, told.minutes, told.place) == (STARTS_AT, 30, "integrationsbuero")
    [progress] = events_of(decision, CaseProgressed)
    assert [(s.state, s.appointment_at) for s in progress.standings] == [(ReferralState.SCHEDULED, STARTS_AT)]


def test_a_cancelled_appointment_leaves_the_referral_accepted() -> None:
    case = state_after(accepted(a_routed_case(Concern.DEBT), by="schuldnerberatung"))
    referral = referral_of(case, "schuldnerberatung")

    after = state_after(cancelled(state_after(booked(case, referral)), referral))

    assert referral_of(after, "schuldnerberatung").state is ReferralState.ACCEPTED
    assert after.progress.standings[0].appointment_at is None


def test_only_the_appointment_that_is_booked_can_be_cancelled() -> None:
    case = state_after(accepted(a_routed_case(Concern.DEBT), by="schuldnerberatung"))
    referral = referral_of(case, "schuldnerberatung")

    assert changes_nothing(cancelled(case, referral))
    assert changes_nothing(cancelled(state_after(booked(case, referral)), referral, derived_id("an earlier one")))


def test_a_booking_fits_only_an_accepted_referral() -> None:
    offered = a_routed_case(Concern.DEBT)
    referral = referral_of(offered, "schuldnerberatung")
    scheduled = state_after(booked(state_after(accepted(offered, by="schuldnerberatung")), referral))

    assert changes_nothing(booked(offered, referral))
    assert changes_nothing(booked(scheduled, referral, derived_id("a second one")))
    assert changes_nothing(booked(state_after(withdrawn(offered)), referral))


def test_a_withdrawal_ends_every_open_referral_and_tells_the_partners_that_have_one() -> None:
    case = a_routed_case(
        Concern.DEBT, Concern.JOB_SEARCH, Concern.GERMAN_COURSE, Concern.GENERAL, case_id=case_number(0)
    )
    case = state_after(declined(case, by="vhs"))
    case = state_after(accepted(case, by="awo"))

    decision = withdrawn(case)

    assert {event.partner_id for event in events_of(decision, ReferralWithdrawn)} == {"schuldnerberatung", "awo"}
    assert state_after(decision).open_referrals == ()
    assert len(events_of(decision, CaseProgressed)) == 1


def test_a_withdrawn_case_stays_withdrawn() -> None:
    case = a_routed_case(Concern.DEBT)
    referral = referral_of(case, "schuldnerberatung")
    case = state_after(booked(state_after(accepted(case, by="schuldnerberatung")), referral))
    after = state_after(withdrawn(case))

    assert changes_nothing(withdrawn(after))
    assert changes_nothing(cancelled(after, referral))
    assert changes_nothing(amended(after, a_concern(Concern.JOB_SEARCH)))


def test_a_withdrawal_of_an_unknown_case_changes_nothing() -> None:
    event = CaseWithdrawn(case_id=case_number(1), reason=WithdrawalReason.BY_SENDER)

    assert changes_nothing(withdraw(SEEN, received(event), None, NOW))


def test_a_new_concern_is_placed_and_the_others_stay_where_they_are() -> None:
    case = state_after(accepted(a_routed_case(Concern.DEBT), by="schuldnerberatung"))

    decision = amended(case, a_concern(Concern.DEBT), a_concern(Concern.JOB_SEARCH))

    assert partners_asked(decision) == {"awo"}
    assert referral_of(state_after(decision), "schuldnerberatung").state is ReferralState.ACCEPTED


def test_a_referral_whose_concerns_were_all_dropped_is_cancelled() -> None:
    case = a_routed_case(Concern.DEBT, Concern.JOB_SEARCH)

    decision = amended(case, a_concern(Concern.DEBT))

    assert [(e.partner_id, e.reason) for e in events_of(decision, ReferralCancelled)] == [
        ("awo", WithdrawalReason.BY_SENDER)
    ]
    assert [r.partner_id for r in state_after(decision).open_referrals] == ["schuldnerberatung"]


def test_a_dropped_concern_is_not_placed_again_when_the_others_are_declined() -> None:
    case = a_routed_case(Concern.DEBT, Concern.MONEY_MANAGEMENT)

    after = state_after(amended(case, a_concern(Concern.DEBT)))
    [gap] = events_of(declined(after, by="schuldnerberatung"), ReferralUnplaced)

    assert gap.concerns == (a_concern(Concern.DEBT).concern_id,)


def test_a_concern_that_comes_back_is_placed_again() -> None:
    case = a_routed_case(Concern.DEBT, Concern.JOB_SEARCH)
    without = state_after(amended(case, a_concern(Concern.DEBT)))

    decision = amended(without, a_concern(Concern.DEBT), a_concern(Concern.JOB_SEARCH))

    assert partners_asked(decision) == {"awo"}


def test_what_waited_for_a_legal_basis_is_placed_when_it_comes() -> None:
    case = a_routed_case(Concern.DEBT, legal_basis=LegalBasis(kind=LegalBasisKind.NONE))

    decision = amended(case, a_concern(Concern.DEBT), legal_basis=LegalBasis(kind=LegalBasisKind.CONSENT))

    assert partners_asked(decision) == {"schuldnerberatung"}
    assert [referral.partner_id for referral in state_after(decision).open_referrals] == ["schuldnerberatung"]


def test_what_waits_for_a_legal_basis_is_not_told_again_while_there_is_none() -> None:
    case = a_routed_case(Concern.DEBT, legal_basis=LegalBasis(kind=LegalBasisKind.NONE))

    decision = amended(case, a_concern(Concern.DEBT), languages=("uk",))

    assert [type(event) for event in decision.events] == [CaseProgressed]
    assert state_after(decision).referrals == case.referrals


def test_a_partner_gives_back_what_the_legal_basis_no_longer_covers() -> None:
    case = state_after(accepted(a_routed_case(Concern.DEBT, Concern.JOB_SEARCH), by="awo"))
    narrower = LegalBasis(kind=LegalBasisKind.CONSENT, partners=("schuldnerberatung",))

    decision = amended(case, a_concern(Concern.DEBT), a_concern(Concern.JOB_SEARCH), legal_basis=narrower)

    assert [event.partner_id for event in events_of(decision, ReferralCancelled)] == ["awo"]
    assert [gap.reason for gap in events_of(decision, ReferralUnplaced)] == [UnplacedReason.NO_LEGAL_BASIS]
    assert referral_of(state_after(decision), "schuldnerberatung").state is ReferralState.OFFERED


@pytest.mark.parametrize(("since", "asked"), [(timedelta(), {"schuldnerberatung"}), (KEPT, set())])
def test_an_amendment_of_an_unknown_case_places_it_unless_it_was_forgotten(since: timedelta, asked: set[str]) -> None:
    case = a_case(Concern.DEBT)

    decision = amend(SEEN, received(CaseAmended(**dict(case))), None, case.received_at + since)

    assert partners_asked(decision) == asked
    assert changes_nothing(decision) is not bool(asked)


def test_a_partner_that_loses_some_of_its_concerns_is_told_which_remain() -> None:
    case = state_after(accepted(a_routed_case(Concern.DEBT, Concern.MONEY_MANAGEMENT), by="schuldnerberatung"))

    decision = amended(case, a_concern(Concern.DEBT))

    [told] = events_of(decision, ReferralAmended)
    assert told.concerns == (a_concern(Concern.DEBT).concern_id,)
    assert amended(state_after(decision), a_concern(Concern.DEBT)).events[:-1] == ()


def test_a_case_of_very_many_referrals_tells_the_newest_of_each_concern() -> None:
    case = a_routed_case(Concern.DEBT)
    for number in range(2 * MOST_STANDINGS + 1):
        kind = LegalBasisKind.NONE if number % 2 == 0 else LegalBasisKind.CONSENT
        case = state_after(amended(case, a_concern(Concern.DEBT), legal_basis=LegalBasis(kind=kind, concerns=None)))

    standings = case.progress.standings
    assert len(standings) == MOST_STANDINGS
    assert case.referrals[-1].standing in standings
