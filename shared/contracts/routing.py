"""What routing publishes: the office's view on `routing.referrals.v1`, each partner's own on its queue."""

from typing import Annotated

from pydantic import Field

from shared.contracts.base import (
    AgreementVersion,
    AppointmentId,
    CaseId,
    ConcernId,
    Day,
    Event,
    Facts,
    Id,
    Instant,
    Language,
    Minutes,
    Offset,
    Partition,
    PartnerId,
    PersonId,
    PlaceId,
    ReferralId,
    RuleId,
    SheetId,
)
from shared.contracts.codes import (
    AgeBand,
    AppointmentMode,
    CaseState,
    ClarificationTopic,
    ClosingReason,
    Concern,
    DeclineReason,
    FailureReason,
    HandOnReason,
    Municipality,
    Need,
    PauseReason,
    ReferralState,
    RejectionReason,
    ServiceOutcome,
    SubTopic,
    UnplacedReason,
    UnscheduledReason,
    Urgency,
    WithdrawalReason,
)

TOPIC = "routing.referrals.v1"
PARTNER_TOPIC = "partner.{partner_id}.referrals.v1"
ALERTS = "routing.alerts.v1"


MOST_STANDINGS = 200
"""Referrals of a case that an event of it may hold; four times as many as a case has concerns."""


class Standing(Facts):
    """Where one referral of a case stands; without a partner it is with the office.

    `overdue` says that its partner let the time to respond pass, `sheet` is what answered it.
    """

    referral_id: ReferralId
    partner_id: PartnerId | None = None
    state: ReferralState
    concerns: tuple[ConcernId, ...]
    since: Instant
    appointment_at: Instant | None = None
    overdue: bool = False
    outcome: ServiceOutcome | None = None
    sheet: SheetId | None = None


class CaseProgressed(Event):
    """Where all referrals of a case stand now; each one replaces the one before."""

    case_id: CaseId
    state: CaseState = CaseState.OPEN
    standings: Annotated[tuple[Standing, ...], Field(max_length=MOST_STANDINGS)]


class ReferralUnplaced(Event):
    """Nobody could be asked to take these concerns; they wait in the office's clearing."""

    case_id: CaseId
    referral_id: ReferralId
    concerns: Annotated[tuple[ConcernId, ...], Field(min_length=1)]
    reason: UnplacedReason


class ReferralClosedUnmet(Event):
    """The office ended the task: no partner takes these concerns."""

    case_id: CaseId
    referral_id: ReferralId
    concerns: Annotated[tuple[ConcernId, ...], Field(min_length=1)]
    reason: ClosingReason


class ReferralHeld(Event):
    """These concerns wait until others of the case are settled."""

    case_id: CaseId
    referral_id: ReferralId
    concerns: Annotated[tuple[ConcernId, ...], Field(min_length=1)]
    after: Annotated[tuple[ConcernId, ...], Field(min_length=1)]


class ReferralReleased(Event):
    """What these concerns waited for is settled; they are placed now."""

    case_id: CaseId
    referral_id: ReferralId


class ReferralInformed(Event):
    """An information sheet answers these concerns; nobody has to be asked."""

    case_id: CaseId
    referral_id: ReferralId
    person_id: PersonId
    concerns: Annotated[tuple[ConcernId, ...], Field(min_length=1)]
    sheet: SheetId
    languages: tuple[Language, ...]


class CoverageGapFound(Event):
    """For want of a taker a concern went to the office's clearing. `gap_id` is the same for the same field, town and
    language, the first that the person speaks."""

    gap_id: Id
    code: Concern
    municipality: Municipality
    language: Language | None = None
    reason: UnplacedReason
    agreement: AgreementVersion | None = None


class AgreementEnding(Event):
    """The term ends in so many days, and no other follows; 0 on the day after its last."""

    agreement: AgreementVersion
    valid_to: Day
    days_left: Annotated[int, Field(ge=0, le=366)]


class OfferedConcern(Facts):
    """One concern as the partner sees it."""

    concern_id: ConcernId
    code: Concern
    sub_topic: SubTopic | None = None
    person_id: PersonId
    age_band: AgeBand


class PartnerEvent(Event):
    """What every event in a partner's queue names."""

    partner_id: PartnerId
    referral_id: ReferralId
    case_id: CaseId


class ReferralOffered(PartnerEvent):
    """The partner is asked to take the named concerns; `respond_by` is the last day to answer."""

    agreement: AgreementVersion
    rules: Annotated[tuple[RuleId, ...], Field(min_length=1)]
    concerns: Annotated[tuple[OfferedConcern, ...], Field(min_length=1)]
    languages: tuple[Language, ...]
    needs: tuple[Need, ...] = ()
    urgency: Urgency
    respond_by: Day


class ReferralAccepted(PartnerEvent):
    """The partner's acceptance took effect; carries what a booking needs."""

    person_id: PersonId
    codes: Annotated[tuple[Concern, ...], Field(min_length=1)]
    languages: tuple[Language, ...]
    needs: tuple[Need, ...] = ()


class ReferralDeclined(PartnerEvent):
    """The partner's refusal took effect; its concerns are routed again."""

    reason: DeclineReason


class ReferralScheduled(PartnerEvent):
    """An appointment was booked for the referral."""

    appointment_id: AppointmentId
    starts_at: Instant
    minutes: Minutes
    place: PlaceId
    mode: AppointmentMode


class ReferralRescheduled(ReferralScheduled):
    """Another appointment took the place of the one before."""


class ReferralUnscheduled(PartnerEvent):
    """The appointment fell through; the referral waits for another one."""

    appointment_id: AppointmentId
    reason: UnscheduledReason


class ReferralOverdue(PartnerEvent):
    """The time to respond has passed; on `expires_on`, the last day of grace, the offer ends."""

    expires_on: Day


class ReferralExpired(PartnerEvent):
    """The partner did not answer in time; its concerns are routed again."""


class ClarificationRequested(PartnerEvent):
    """The partner's question took effect; it is to be answered by the end of `answer_by`."""

    topic: ClarificationTopic
    answer_by: Day


class ClarificationAnswered(PartnerEvent):
    """The partner's question was answered. `respond_by` is its new last day to respond, where it has yet to."""

    respond_by: Day | None = None


class ClarificationExpired(PartnerEvent):
    """Nobody answered the partner's question; the referral goes on as before it."""

    respond_by: Day | None = None


class ServiceStarted(PartnerEvent):
    """The service began."""


class ServicePaused(PartnerEvent):
    """The service rests until it is looked at again on `review_on`."""

    reason: PauseReason
    review_on: Day


class ServiceReviewDue(PartnerEvent):
    """The resting service is to be looked at; if nothing is decided, again on `review_on`."""

    review_on: Day


class ServiceResumed(PartnerEvent):
    """The service goes on."""


class ReferralHandedOn(PartnerEvent):
    """The partner gave the referral away; what follows is another referral."""

    reason: HandOnReason


class ReferralCompleted(PartnerEvent):
    """The service came to its end; until the end of `reopen_until` it may be taken up again."""

    outcome: ServiceOutcome
    reopen_until: Day


class ReferralFailed(PartnerEvent):
    """The service could not be given to its end; until the end of `reopen_until` it may be taken up again."""

    reason: FailureReason
    reopen_until: Day


class ReferralReopened(PartnerEvent):
    """The service is taken up again."""


class ReferralAmended(PartnerEvent):
    """The partner may no longer have some of the concerns, or the sender dropped them; these remain."""

    concerns: Annotated[tuple[ConcernId, ...], Field(min_length=1)]


class ReferralWithdrawn(PartnerEvent):
    """The person took the case back: nothing more is to be done."""

    reason: WithdrawalReason


class ReferralCancelled(PartnerEvent):
    """The sender took the case back, or the partner may no longer have it: nothing more is to be done."""

    reason: WithdrawalReason


class ReplyRejected(Event):
    """A reply had no effect. `rejection_id` follows from the reply's coordinates in the partner's reply topic.

    Where a referral of the partner's own is in the wrong `state`, `expected` names the states the reply fits.
    """

    partner_id: PartnerId
    rejection_id: ReferralId
    partition: Partition
    offset: Offset
    reason: RejectionReason
    state: ReferralState | None = None
    expected: tuple[ReferralState, ...] = ()
