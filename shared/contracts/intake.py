"""What intake publishes on `intake.cases.v1`: a case in codes, never a name."""

from typing import Annotated

from pydantic import Field

from shared.contracts.base import CaseId, ConcernId, Day, Event, Facts, Instant, Language, PartnerId, PersonId
from shared.contracts.codes import (
    AgeBand,
    Concern,
    LegalBasisKind,
    Municipality,
    Need,
    SubTopic,
    TargetGroup,
    Urgency,
    WithdrawalReason,
)

TOPIC = "intake.cases.v1"


class ConcernFacts(Facts):
    """One concern of one person of the case. `after` names concerns of the case that have to be settled before."""

    concern_id: ConcernId
    code: Concern
    sub_topic: SubTopic | None = None
    person_id: PersonId
    age_band: AgeBand
    target_groups: tuple[TargetGroup, ...] = ()
    after: Annotated[tuple[ConcernId, ...], Field(max_length=50)] = ()


class LegalBasis(Facts):
    """On what ground, for which partners and until when the case may be passed on; `None` means all, or no end."""

    kind: LegalBasisKind
    partners: tuple[PartnerId, ...] | None = None
    concerns: tuple[ConcernId, ...] | None = None
    valid_until: Day | None = None


class CaseFacts(Event):
    """The coded state of a case; `received_at` is the moment the agreement is judged by."""

    case_id: CaseId
    person_id: PersonId
    received_at: Instant
    municipality: Municipality
    languages: Annotated[tuple[Language, ...], Field(max_length=8)]
    urgency: Urgency
    legal_basis: LegalBasis
    excluded_partners: tuple[PartnerId, ...] = ()
    preferred_partners: tuple[PartnerId, ...] = ()
    needs: tuple[Need, ...] = ()
    concerns: Annotated[tuple[ConcernFacts, ...], Field(min_length=1, max_length=50)]


class CaseOpened(CaseFacts):
    """A person or household was referred or walked in."""


class CaseAmended(CaseFacts):
    """The sender corrected or added something; carries the whole state as it is now."""


class CaseWithdrawn(Event):
    """The person or the sender took the case back."""

    case_id: CaseId
    reason: WithdrawalReason
