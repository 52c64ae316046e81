"""Everything that goes into a partner's queue, and so everything a partner learns.

It learns the concerns it is asked to take and, of the wishes, the ones its agreement names: never the town, the other
concerns, or who else was asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import TypedDict

from services.routing.domain.agreement import Agreement, Partner
from services.routing.domain.case import Booking, Referral, RoutedCase
from shared.contracts import Event
from shared.contracts.base import CaseId, Language, PartnerId, ReferralId, derived_id
from shared.contracts.codes import (
    ClarificationTopic,
    DeclineReason,
    FailureReason,
    HandOnReason,
    Need,
    PauseReason,
    ReferralState,
    RejectionReason,
    ServiceOutcome,
    UnscheduledReason,
    WithdrawalReason,
)
from shared.contracts.partners import TOPIC
from shared.contracts.routing import (
    ClarificationAnswered,
    ClarificationExpired,
    ClarificationRequested,
    OfferedConcern,
    ReferralAccepted,
    ReferralAmended,
    ReferralCancelled,
    ReferralCompleted,
    ReferralDeclined,
    ReferralExpired,
    ReferralFailed,
    ReferralHandedOn,
    ReferralOffered,
    ReferralOverdue,
    ReferralReopened,
    ReferralScheduled,
    ReferralUnscheduled,
    ReferralWithdrawn,
    ReplyRejected,
    ServicePaused,
    ServiceResumed,
    ServiceReviewDue,
    ServiceStarted,
)
from shared.contracts.scheduling import AppointmentBooked, AppointmentRescheduled


class Names(TypedDict):
    """What every event of the queue names."""

    partner_id: PartnerId
    referral_id: ReferralId
    case_id: CaseId


@dataclass(frozen=True, slots=True)
class View:
    """A case as one partner may see it."""

    concerns: tuple[OfferedConcern, ...]
    languages: tuple[Language, ...]
    needs: tuple[Need, ...]


def cut(case: RoutedCase, referral: Referral, partner: Partner) -> View:
    """The one place that decides what of a case a partner sees."""
    return View(
        concerns=tuple(OfferedConcern(**dict(concern)) for concern in case.concerns_of(referral)),
        languages=case.facts.languages,
        needs=tuple(need for need in case.facts.needs if need in partner.needs),
    )


def offered(case: RoutedCase, referral: Referral, agreement: Agreement) -> ReferralOffered:
    """The partner is asked; it has until the end of its running clock to answer."""
    assert referral.clock is not None, "an offer has a term"
    names = _names(case, referral)
    view = cut(case, referral, agreement.partner(names["partner_id"]))
    return ReferralOffered(
        **names,
        agreement=agreement.version,
        rules=referral.rules,
        concerns=view.concerns,
        languages=view.languages,
        needs=view.needs,
        urgency=case.facts.urgency,
        respond_by=referral.clock.last,
    )


def overdue(case: RoutedCase, referral: Referral, expires_on: date) -> ReferralOverdue:
    """The time to respond is over; the days of grace run."""
    return ReferralOverdue(**_names(case, referral), expires_on=expires_on)


def expired(case: RoutedCase, referral: Referral) -> ReferralExpired:
    """The offer ended without an answer."""
    return ReferralExpired(**_names(case, referral))


def asked_back(
    case: RoutedCase, referral: Referral, topic: ClarificationTopic, answer_by: date
) -> ClarificationRequested:
    """The partner's question took effect."""
    return ClarificationRequested(**_names(case, referral), topic=topic, answer_by=answer_by)


def clarified(
    event: type[ClarificationAnswered] | type[ClarificationExpired], case: RoutedCase, referral: Referral
) -> Event:
    """The partner's question was answered, or nobody did in time; the referral goes on."""
    return event(**_names(case, referral), respond_by=referral.clock.last if referral.clock else None)


def accepted(case: RoutedCase, referral: Referral, agreement: Agreement) -> ReferralAccepted:
    """The partner's acceptance took effect; the appointment is made with the main person of the case."""
    names = _names(case, referral)
    view = cut(case, referral, agreement.partner(names["partner_id"]))
    return ReferralAccepted(
        **names,
        person_id=case.facts.person_id,
        codes=tuple(dict.fromkeys(concern.code for concern in view.concerns)),
        languages=view.languages,
        needs=view.needs,
    )


def declined(case: RoutedCase, referral: Referral, reason: DeclineReason) -> ReferralDeclined:
    """The partner's refusal took effect."""
    return ReferralDeclined(**_names(case, referral), reason=reason)


def scheduled(
    event: type[ReferralScheduled],
    case: RoutedCase,
    referral: Referral,
    booked: AppointmentBooked | AppointmentRescheduled,
) -> ReferralScheduled:
    """What the partner must know of the appointment that was booked, or that took another's place."""
    return event(
        **_names(case, referral),
        appointment_id=booked.appointment_id,
        starts_at=booked.starts_at,
        minutes=booked.minutes,
        place=booked.place,
        mode=booked.mode,
    )


def unscheduled(case: RoutedCase, referral: Referral, booking: Booking, reason: UnscheduledReason) -> Event:
    """The appointment fell through."""
    return ReferralUnscheduled(**_names(case, referral), appointment_id=booking.appointment_id, reason=reason)


def started(case: RoutedCase, referral: Referral) -> ServiceStarted:
    """The service began."""
    return ServiceStarted(**_names(case, referral))


def paused(case: RoutedCase, referral: Referral, reason: PauseReason, review_on: date) -> ServicePaused:
    """The service rests."""
    return ServicePaused(**_names(case, referral), reason=reason, review_on=review_on)


def review_due(case: RoutedCase, referral: Referral, review_on: date) -> ServiceReviewDue:
    """The resting service is to be looked at."""
    return ServiceReviewDue(**_names(case, referral), review_on=review_on)


def resumed(case: RoutedCase, referral: Referral) -> ServiceResumed:
    """The service goes on."""
    return ServiceResumed(**_names(case, referral))


def handed_on(case: RoutedCase, referral: Referral, reason: HandOnReason) -> ReferralHandedOn:
    """The partner gave the referral away; it does not learn to whom the agreement gave it."""
    return ReferralHandedOn(**_names(case, referral), reason=reason)


def completed(case: RoutedCase, referral: Referral, outcome: ServiceOutcome, reopen_until: date) -> ReferralCompleted:
    """The service came to its end."""
    return ReferralCompleted(**_names(case, referral), outcome=outcome, reopen_until=reopen_until)


def failed(case: RoutedCase, referral: Referral, reason: FailureReason, reopen_until: date) -> ReferralFailed:
    """The service could not be given to its end."""
    return ReferralFailed(**_names(case, referral), reason=reason, reopen_until=reopen_until)


def reopened(case: RoutedCase, referral: Referral) -> ReferralReopened:
    """The service is taken up again."""
    return ReferralReopened(**_names(case, referral))


def amended(case: RoutedCase, referral: Referral) -> ReferralAmended:
    """Some of its concerns are no longer the partner's."""
    return ReferralAmended(**_names(case, referral), concerns=referral.concerns)


def taken_back(case: RoutedCase, referral: Referral, reason: WithdrawalReason) -> Event:
    """Nothing more is to be done: the person or the sender took it back."""
    event = ReferralWithdrawn if reason is WithdrawalReason.BY_PERSON else ReferralCancelled
    return event(**_names(case, referral), reason=reason)


def rejected(
    partner_id: PartnerId,
    partition: int,
    offset: int,
    reason: RejectionReason,
    state: ReferralState | None = None,
    expected: Iterable[ReferralState] = (),
) -> ReplyRejected:
    """The answer to a reply that had no effect; names it by its place in the partner's reply topic."""
    topic = TOPIC.format(partner_id=partner_id)
    return ReplyRejected(
        partner_id=partner_id,
        rejection_id=derived_id(topic, str(partition), str(offset)),
        partition=partition,
        offset=offset,
        reason=reason,
        state=state,
        expected=tuple(sorted(expected)),
    )


def _names(case: RoutedCase, referral: Referral) -> Names:
    assert referral.partner_id is not None, "what is with the office has no queue"
    return Names(partner_id=referral.partner_id, referral_id=referral.id, case_id=case.id)
