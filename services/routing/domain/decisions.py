"""What follows from what the sender does with a case, and from its appointments.

Who takes what is judged as of the day the case was received; deadlines run from now. An event that no longer fits the
state changes nothing. Whatever changes anything also tells how the whole case stands.
"""

from datetime import datetime
from typing import Final

from services.routing.domain import partner_queue
from services.routing.domain.case import KEPT, Booking, Referral, RoutedCase
from services.routing.domain.lifecycle import Transition
from services.routing.domain.placement import covers, place
from services.routing.domain.placing import conclude
from services.routing.domain.situation import Situation
from shared.contracts.codes import Actor, ReferralState, UnplacedReason, UnscheduledReason, WithdrawalReason
from shared.contracts.intake import CaseAmended, CaseFacts, CaseOpened, CaseWithdrawn, ConcernFacts
from shared.contracts.routing import ReferralRescheduled, ReferralScheduled
from shared.contracts.scheduling import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentMissed,
    AppointmentRescheduled,
)
from shared.days import local_day
from shared.pipeline.decisions import Decision, Received

NOTHING: Final[Decision[RoutedCase]] = Decision()
_TAKEN_BACK: Final = {
    WithdrawalReason.BY_PERSON: (Transition.WITHDRAWN, Actor.PERSON),
    WithdrawalReason.BY_SENDER: (Transition.CANCELLED, Actor.SENDER),
}


def route(
    situation: Situation, received: Received[CaseOpened], known: RoutedCase | None, now: datetime
) -> Decision[RoutedCase]:
    """Ask one partner for each share of an opened case; the office takes what nobody can be asked for."""
    if known:
        return NOTHING
    return conclude(_new_case(received.event), (), situation, received.cause.id, now)


def amend(
    situation: Situation, received: Received[CaseAmended], known: RoutedCase | None, now: datetime
) -> Decision[RoutedCase]:
    """Take over the corrected facts, then place what is in nobody's hands any more, or not yet.

    A referral is cancelled when nothing of it may stay where it is; a partner that keeps some of its concerns is told
    which. A case that is not known although its time is over was forgotten, and stays so; a younger one was never
    opened, because its record was discarded for instance.
    """
    if known.withdrawn if known else now >= received.event.received_at + KEPT:
        return NOTHING
    amended = _new_case(received.event)
    case = known.model_copy(update={"facts": amended.facts}) if known else amended
    changed = [_after_amendment(case, referral, situation, now) for referral in case.open_referrals]
    before = {referral.id: referral.concerns for referral in case.open_referrals}
    told = [
        partner_queue.amended(case, referral)
        if referral.is_open
        else partner_queue.taken_back(case, referral, WithdrawalReason.BY_SENDER)
        for referral in changed
        if referral.partner_id and not (referral.is_open and referral.concerns == before[referral.id])
    ]
    return conclude(case.with_referrals(changed), told, situation, received.cause.id, now)


def withdraw(
    situation: Situation, received: Received[CaseWithdrawn], known: RoutedCase | None, now: datetime
) -> Decision[RoutedCase]:
    """End every open referral and tell the partners that have one."""
    if known is None or known.withdrawn:
        return NOTHING
    reason = received.event.reason
    transition, by = _TAKEN_BACK[reason]
    changed = [referral.moved(transition, now, by, reason) for referral in known.open_referrals]
    told = [partner_queue.taken_back(known, referral, reason) for referral in changed if referral.partner_id]
    case = known.with_referrals(changed).model_copy(update={"withdrawn": reason})
    return conclude(case, told, situation, received.cause.id, now)


def schedule(
    situation: Situation, received: Received[AppointmentBooked], known: RoutedCase | None, now: datetime
) -> Decision[RoutedCase]:
    """An appointment was booked; its partner learns when and where.

    The state follows where the referral still waits for one, or will do so again after a question. A partner that was
    faster and serves the person already keeps it as a date.
    """
    booked = received.event
    referral = known.referral(booked.referral_id) if known else None
    if known is None or referral is None or not referral.is_taken or referral.booking:
        return NOTHING
    booking = Booking(appointment_id=booked.appointment_id, starts_at=booked.starts_at)
    first = referral.appointment_on or local_day(booked.starts_at)
    referral = referral.model_copy(update={"appointment_on": first})
    if referral.state is ReferralState.ACCEPTED:
        moved = referral.moved(Transition.SCHEDULED, now, Actor.SCHEDULING, booking=booking)
    else:
        moved = _going_back_to(ReferralState.ACCEPTED, ReferralState.SCHEDULED, referral, booking)
    told = partner_queue.scheduled(ReferralScheduled, known, referral, booked)
    return conclude(known.with_referrals([moved]), [told], situation, received.cause.id, now)


def reschedule(
    situation: Situation, received: Received[AppointmentRescheduled], known: RoutedCase | None, now: datetime
) -> Decision[RoutedCase]:
    """Another appointment took the place of the one the referral was booked for."""
    event = received.event
    referral = _booked(known, event.referral_id, event.replaces)
    if known is None or referral is None:
        return NOTHING
    booking = Booking(appointment_id=event.appointment_id, starts_at=event.starts_at)
    moved = (
        referral.moved(Transition.RESCHEDULED, now, Actor.SCHEDULING, booking=booking)
        if referral.state is ReferralState.SCHEDULED
        else referral.model_copy(update={"booking": booking})
    )
    told = partner_queue.scheduled(ReferralRescheduled, known, referral, event)
    return conclude(known.with_referrals([moved]), [told], situation, received.cause.id, now)


def unschedule(
    situation: Situation,
    received: Received[AppointmentCancelled] | Received[AppointmentMissed],
    known: RoutedCase | None,
    now: datetime,
) -> Decision[RoutedCase]:
    """The appointment a referral was booked for fell through, or nobody came: it waits for another one."""
    event = received.event
    referral = _booked(known, event.referral_id, event.appointment_id)
    if known is None or referral is None or referral.booking is None:
        return NOTHING
    missed = isinstance(event, AppointmentMissed)
    reason = UnscheduledReason.MISSED if missed else UnscheduledReason.CANCELLED
    if referral.state is ReferralState.SCHEDULED:
        moved = referral.moved(Transition.UNSCHEDULED, now, Actor.SCHEDULING, reason, booking=None)
    else:
        moved = _going_back_to(ReferralState.SCHEDULED, ReferralState.ACCEPTED, referral, None)
    told = partner_queue.unscheduled(known, referral, referral.booking, reason)
    return conclude(known.with_referrals([moved]), [told], situation, received.cause.id, now)


def _new_case(facts: CaseFacts) -> RoutedCase:
    return RoutedCase(id=facts.case_id, facts=CaseFacts.model_construct(**dict(facts)))  # it was validated as it came


def _after_amendment(case: RoutedCase, referral: Referral, situation: Situation, now: datetime) -> Referral:
    kept = tuple(c.concern_id for c in case.concerns_of(referral) if _may_stay(case, referral, c, situation))
    if not kept:
        return referral.moved(Transition.CANCELLED, now, Actor.SENDER, WithdrawalReason.BY_SENDER)
    return referral.model_copy(update={"concerns": kept})


def _may_stay(case: RoutedCase, referral: Referral, concern: ConcernFacts, situation: Situation) -> bool:
    """Whether a concern stays in the hands it is in.

    A partner gives it back when the legal basis no longer covers it, a consent withdrawn for instance, or when it is no
    longer wanted; the office when what stood against a partner is gone and nobody has claimed the task. What is held
    stays together only while it waits for the same.
    """
    if referral.partner_id:
        wanted = referral.partner_id not in case.facts.excluded_partners
        return wanted and covers(case.facts.legal_basis, concern.concern_id, referral.partner_id, case.day)
    if referral.state is ReferralState.HELD:
        return case.awaited(concern) == case.awaited(case.concerns_of(referral)[0])
    if referral.claimed_by or referral.unplaced is UnplacedReason.OFFICE_TASK:
        return True
    agreement = situation.agreements.in_force(case.day)
    asked = case.asked(concern.concern_id)
    placed = place(concern, case.facts, asked, agreement, case.day, situation)
    return placed.destination.unplaced is referral.unplaced


def _booked(known: RoutedCase | None, referral_id: str, appointment_id: str) -> Referral | None:
    """The referral that still has this appointment."""
    referral = known.referral(referral_id) if known else None
    if referral is None or referral.booking is None or referral.booking.appointment_id != appointment_id:
        return None
    return referral


def _going_back_to(before: ReferralState, then: ReferralState, referral: Referral, booking: Booking | None) -> Referral:
    """The referral with another booking; one that waits for an answer goes back to where it would have come."""
    waiting = referral.waiting
    if waiting is not None and waiting.back is before:
        waiting = waiting.model_copy(update={"back": then})
    return referral.model_copy(update={"booking": booking, "waiting": waiting})
