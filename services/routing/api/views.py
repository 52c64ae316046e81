"""What the office may see of a referral: codes and ids, and one sentence."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from services.routing.domain.agreement import Agreement
from services.routing.domain.case import Referral, RoutedCase
from services.routing.domain.sentences import sentence
from shared.contracts.codes import (
    Actor,
    AgeBand,
    Concern,
    Municipality,
    ReferralState,
    SubTopic,
    UnplacedReason,
    Urgency,
)
from shared.contracts.intake import ConcernFacts

ReferralId = Annotated[str, AfterValidator(str.lower)]
"""In a path; as it is kept. A UUID may be written in capitals as well (RFC 9562)."""


class View(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, from_attributes=True, hide_input_in_errors=True)


class ConcernView(View):
    """What is needed."""

    concern_id: str
    code: Concern
    sub_topic: SubTopic | None
    age_band: AgeBand


class LinkView(View):
    """Another referral of the same concerns, and how it stands or ended."""

    referral_id: str
    partner_id: str | None
    state: ReferralState
    by: Actor
    reason: str | None
    since: datetime
    follows: str | None


class ReferralView(View):
    """A referral as the office sees it. `reason` says why nobody was asked, `asked` who was before and how it ended."""

    case_id: str
    referral_id: str
    state: ReferralState
    partner_id: str | None
    concerns: list[ConcernView]
    municipality: Municipality
    languages: list[str]
    urgency: Urgency
    reason: UnplacedReason | None
    since: datetime
    last_day: date | None
    claimed_by: str | None
    claimed_at: datetime | None
    follows: str | None
    asked: list[LinkView]
    sentence: str


def shown(
    case: RoutedCase, referral: Referral, agreement: Agreement | None, placed: dict[str, Any] | None = None
) -> ReferralView:
    """A referral; `placed` is the newest explanation of it, where a partner may have it."""
    return ReferralView(
        case_id=case.id,
        referral_id=referral.id,
        state=referral.state,
        partner_id=referral.partner_id,
        concerns=[concern_shown(concern) for concern in case.concerns_of(referral)],
        municipality=case.facts.municipality,
        languages=list(case.facts.languages),
        urgency=case.facts.urgency,
        reason=referral.unplaced,
        since=referral.since,
        last_day=referral.clock.last if referral.clock else None,
        claimed_by=referral.claimed_by,
        claimed_at=referral.claimed_at,
        follows=referral.follows,
        asked=[link for link in chain(case, referral) if link.partner_id and link.referral_id != referral.id],
        sentence=said(case, referral, agreement, placed),
    )


def said(
    case: RoutedCase, referral: Referral, agreement: Agreement | None, placed: dict[str, Any] | None = None
) -> str:
    """The sentence about a referral."""
    if placed is None:
        return sentence(case, referral, agreement)
    return sentence(case, referral, agreement, Actor(placed["by"]), placed["reason"])


def chain(case: RoutedCase, referral: Referral) -> list[LinkView]:
    """Every referral that had one of these concerns, this one included, the first one first."""
    return [_link(other) for other in case.referrals if not set(referral.concerns).isdisjoint(other.concerns)]


def concern_shown(concern: ConcernFacts) -> ConcernView:
    """One concern in codes."""
    return ConcernView.model_validate(concern)


def _link(referral: Referral) -> LinkView:
    return LinkView(
        referral_id=referral.id,
        partner_id=referral.partner_id,
        state=referral.state,
        by=referral.by,
        reason=referral.reason,
        since=referral.since,
        follows=referral.follows,
    )
