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
)
from shared.contracts.codes import (
    AgeBand,
    AppointmentMode,
    Concern,
    DeclineReason,
    Need,
    ReferralState,
    RejectionReason,
    SubTopic,
    UnplacedReason,
    Urgency,
    WithdrawalReason,
)

TOPIC = "routing.referrals.v1"
PARTNER_TOPIC = "partner.{partner_id}.referrals.v1"


class Standing(Facts):
    """Where one referral of a case stands; without a partner it is with the office."""

    referral_id: ReferralId
    partner_id: PartnerId | None = None
    state: ReferralState
    concerns: tuple[ConcernId, ...]
    since: Instant
    appointment_at: Instant | None = None


class CaseProgressed(Event):
    """Where all referrals of a case stand now; each one replaces the one before."""

    case_id: CaseId
    standings: Annotated[tuple[Standing, ...], Field(max_length=200)]


class ReferralUnplaced(Event):
    """Nobody could be asked to take these concerns; they wait in the office's clearing."""

    case_id: CaseId
    referral_id: ReferralId
    concerns: Annotated[tuple[ConcernId, ...], Field(min_length=1)]
    reason: UnplacedReason


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


class ReferralWithdrawn(PartnerEvent):
    """The case was taken back: nothing more is to be done."""

    reason: WithdrawalReason


class ReplyRejected(Event):
    """A reply had no effect. `rejection_id` follows from the reply's coordinates in the partner's reply topic."""

    partner_id: PartnerId
    rejection_id: ReferralId
    partition: Partition
    offset: Offset
    reason: RejectionReason
