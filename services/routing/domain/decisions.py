"""What follows from each event about a case.

Who takes what is judged as of the day the case was received; deadlines run from now. An event that no longer fits the
state changes nothing. Whatever changes anything also tells how the whole case stands.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from services.routing.agreement import Agreement, Agreements
from services.routing.domain import partner_queue
from services.routing.domain.case import Booking, Referral, RoutedCase
from services.routing.domain.placement import Destination, divide, may_stay
from shared.contracts import Event
from shared.contracts.base import ConcernId, ReferralId, derived_id
from shared.contracts.codes import ReferralState, RejectionReason, UnplacedReason, WithdrawalReason
from shared.contracts.intake import CaseAmended, CaseFacts, CaseOpened, CaseWithdrawn
from shared.contracts.partners import ReplyAccepted, ReplyDeclined
from shared.contracts.routing import ReferralUnplaced, ReplyRejected
from shared.contracts.scheduling import AppointmentBooked, AppointmentCancelled
from shared.pipeline.decisions import Decision, Received

NOTHING: Final[Decision[RoutedCase]] = Decision()


def route(
    agreements: Agreements, received: Received[CaseOpened], known: RoutedCase | None, now: datetime
) -> Decision[RoutedCase]:
    """Ask one partner for each share of an opened case; the office takes what nobody can be asked for."""
    if known:
        return NOTHING
    return _placed(_new_case(received.event), (), agreements, received.cause.id, now)


def amend(
    agreements: Agreements, received: Received[CaseAmended], known: RoutedCase | None, now: datetime
) -> Decision[RoutedCase]:
    """Take over the corrected facts, then place what is in nobody's hands any more, or not yet.

    A referral is withdrawn when nothing of it may stay where it is; a partner that keeps some of its concerns is not
    told of those it lost.
    """
    if known and known.withdrawn:
        return NOTHING
    amended = _new_case(received.event)
    case = known.model_copy(update={"facts": amended.facts}) if known else amended
    agreement = agreements.in_force(case.day)
    changed = [_after_amendment(case, referral, agreement, now) for referral in case.open_referrals]
    told = [
        partner_queue.withdrawn(case, referral, WithdrawalReason.BY_SENDER)
        for referral in changed
        if referral.partner_id and not referral.is_open
    ]
    return _placed(case.with_referrals(*changed), told, agreements, received.cause.id, now)


def withdraw(received: Received[CaseWithdrawn], known: RoutedCase | None, now: datetime) -> Decision[RoutedCase]:
    """End every open referral and tell the partners that have one."""
    if known is None or known.withdrawn:
        return NOTHING
    reason = received.event.reason
    changed = [referral.moved(ReferralState.WITHDRAWN, now, booking=None) for referral in known.open_referrals]
    told = [partner_queue.withdrawn(known, referral, reason) for referral in changed if referral.partner_id]
    return _decided(known.with_referrals(*changed).model_copy(update={"withdrawn": reason}), told)


def accept(
    agreements: Agreements, received: Received[ReplyAccepted], known: RoutedCase | None, now: datetime
) -> Decision[RoutedCase]:
    """The partner takes the referral it was offered."""
    reply = _answered(received, known)
    if isinstance(reply, ReplyRejected):
        return Decision(events=(reply,), apart=True)
    case, referral = reply
    after = case.with_referrals(referral.moved(ReferralState.ACCEPTED, now))
    agreement = agreements.in_force(case.day)
    assert agreement is not None, "the referral was offered under it"
    return _decided(after, [partner_queue.accepted(case, referral, agreement)])


def decline(
    agreements: Agreements, received: Received[ReplyDeclined], known: RoutedCase | None, now: datetime
) -> Decision[RoutedCase]:
    """The partner does not take the referral it was offered: ask the next one, or hand its concerns to the office."""
    reply = _answered(received, known)
    if isinstance(reply, ReplyRejected):
        return Decision(events=(reply,), apart=True)
    case, referral = reply
    reason = received.event.reason
    after = case.with_referrals(referral.moved(ReferralState.DECLINED, now, declined=reason))
    told = [partner_queue.declined(case, referral, reason)]
    return _placed(after, told, agreements, received.cause.id, now, follows=referral.id)


def schedule(received: Received[AppointmentBooked], known: RoutedCase | None, now: datetime) -> Decision[RoutedCase]:
    """An appointment was booked for an accepted referral; its partner learns when and where."""
    booked = received.event
    referral = known.referral(booked.referral_id) if known else None
    if known is None or referral is None or referral.state is not ReferralState.ACCEPTED:
        return NOTHING
    booking = Booking(appointment_id=booked.appointment_id, starts_at=booked.starts_at)
    after = known.with_referrals(referral.moved(ReferralState.SCHEDULED, now, booking=booking))
    return _decided(after, [partner_queue.scheduled(known, referral, booked)])


def unschedule(
    received: Received[AppointmentCancelled], known: RoutedCase | None, now: datetime
) -> Decision[RoutedCase]:
    """The appointment a referral was booked for fell through: it waits for another one."""
    cancelled = received.event
    referral = known.referral(cancelled.referral_id) if known else None
    if known is None or referral is None or referral.booking is None:
        return NOTHING
    if referral.booking.appointment_id != cancelled.appointment_id:
        return NOTHING
    return _decided(known.with_referrals(referral.moved(ReferralState.ACCEPTED, now, booking=None)), ())


def _new_case(facts: CaseFacts) -> RoutedCase:
    return RoutedCase(id=facts.case_id, facts=CaseFacts(**dict(facts)))


def _after_amendment(case: RoutedCase, referral: Referral, agreement: Agreement | None, now: datetime) -> Referral:
    kept = tuple(c.concern_id for c in case.concerns_of(referral) if may_stay(case, c, referral, agreement))
    if not kept:
        return referral.moved(ReferralState.WITHDRAWN, now, booking=None)
    return referral.model_copy(update={"concerns": kept})


def _answered(
    received: Received[ReplyAccepted] | Received[ReplyDeclined], known: RoutedCase | None
) -> tuple[RoutedCase, Referral] | ReplyRejected:
    """The referral a reply may still decide, or the rejection. What is not the sender's is unknown to it."""
    referral = known.referral(received.event.referral_id) if known else None
    if known is None or referral is None or referral.partner_id != received.partner_id:
        return _rejected(received, RejectionReason.UNKNOWN_REFERRAL)
    if referral.state is not ReferralState.OFFERED:
        return _rejected(received, RejectionReason.WRONG_STATE)
    return known, referral


def _rejected(received: Received[ReplyAccepted] | Received[ReplyDeclined], reason: RejectionReason) -> ReplyRejected:
    assert received.partner_id is not None, "a reply arrives on a partner's topic"
    return partner_queue.rejected(received.partner_id, received.partition, received.offset, reason)


def _placed(
    case: RoutedCase,
    told: Iterable[Event],
    agreements: Agreements,
    cause_id: str,
    now: datetime,
    follows: ReferralId | None = None,
) -> Decision[RoutedCase]:
    """Put the concerns that nobody has in hand into new referrals, one for each partner or reason."""
    agreement = agreements.in_force(case.day)
    referrals = [
        _new_referral(case, destination, concerns, cause_id, now, follows)
        for destination, concerns in divide(case, case.waiting, agreement).items()
    ]
    placed = [_announced(case, referral, agreement, now) for referral in referrals]
    return _decided(case.with_referrals(*referrals), (*told, *placed))


def _new_referral(
    case: RoutedCase,
    destination: Destination,
    concerns: tuple[ConcernId, ...],
    cause_id: str,
    now: datetime,
    follows: ReferralId | None,
) -> Referral:
    """A referral whose id follows from what caused it, so that a repetition makes the same one."""
    unplaced = destination if isinstance(destination, UnplacedReason) else None
    return Referral(
        id=derived_id(cause_id, follows or case.id, destination),
        partner_id=None if unplaced else destination,
        state=ReferralState.CLEARING if unplaced else ReferralState.OFFERED,
        concerns=concerns,
        since=now,
        follows=follows,
        unplaced=unplaced,
    )


def _announced(case: RoutedCase, referral: Referral, agreement: Agreement | None, now: datetime) -> Event:
    if referral.unplaced:
        return ReferralUnplaced(
            case_id=case.id, referral_id=referral.id, concerns=referral.concerns, reason=referral.unplaced
        )
    assert agreement is not None, "only an agreement names a partner"
    return partner_queue.offered(case, referral, agreement, now)


def _decided(case: RoutedCase, told: Iterable[Event]) -> Decision[RoutedCase]:
    return Decision(state=case, events=(*told, case.progress))
