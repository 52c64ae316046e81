"""What the office does with its tasks, the referrals nobody could be asked for, and for a partner that asked back.

One person claims a task before it is assigned or closed. What is refused is answered with what stood against it; what
was done before changes nothing, and is answered with the referral as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints

from services.routing.domain.assigning import assigned, stands_against
from services.routing.domain.case import Referral, RoutedCase
from services.routing.domain.clocks import answered
from services.routing.domain.lifecycle import LIFE, WITH_PARTNER, Transition
from services.routing.domain.placing import conclude
from services.routing.domain.situation import Situation
from shared.contracts import Event
from shared.contracts.base import PartnerId, ReferralId
from shared.contracts.codes import Actor, AssignmentReason, ClosingReason, ReferralState, UnplacedReason
from shared.contracts.routing import ReferralClosedUnmet
from shared.pipeline.decisions import Decision

StaffId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,100}$")]
"""Who of the office does it: the subject of the token they signed in with."""


class _Said(BaseModel):
    """What is said about a task; who says it is known by the sign-in."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Claim(_Said):
    """Somebody takes a task on; from another only by naming who has it now."""

    instead_of: StaffId | None = None


class Assignment(_Said):
    """A partner is to be asked, and why the office thinks so."""

    partner_id: PartnerId
    reason: AssignmentReason


class Closing(_Said):
    """The task ends without a partner."""

    reason: ClosingReason


class Refusal(StrEnum):
    """Why something is not done; the names a client may decide by."""

    UNKNOWN_REFERRAL = "unknown-referral"
    WRONG_STATE = "wrong-state"
    CLAIMED = "claimed"
    NOT_CLAIMED = "not-claimed"
    PARTNER_NOT_POSSIBLE = "partner-not-possible"


@dataclass(frozen=True, slots=True)
class _About:
    """The referral at hand, and what a decision about it looks at."""

    case: RoutedCase
    referral: Referral
    situation: Situation
    staff_id: StaffId
    cause_id: str
    now: datetime

    def concluded(self, case: RoutedCase, told: Event) -> Decision[RoutedCase]:
        """The decision, with what follows from it for the other concerns."""
        return conclude(case, [told], self.situation, self.cause_id, self.now)


C = TypeVar("C")
_Effect = Callable[[C, _About], Decision[RoutedCase]]
Doing = Callable[[C, ReferralId, Situation, StaffId, str, RoutedCase | None, datetime], Decision[RoutedCase]]
"""A pure decision of what was said, the referral it is about, the situation, who says it, the cause's id, the case and
the time."""

_UNCHANGED: Final[Decision[RoutedCase]] = Decision()


def _refused(refusal: Refusal, referral: Referral | None = None, **why: Any) -> Decision[RoutedCase]:
    state = {"state": referral.state.value} if referral else {}
    return Decision(answer={"refused": refusal.value, **state, **why})


def _finding(effect: _Effect[C]) -> Doing[C]:
    """Finds the referral in its case."""

    @wraps(effect)
    def decide(
        said: C,
        referral_id: ReferralId,
        situation: Situation,
        staff_id: StaffId,
        cause_id: str,
        known: RoutedCase | None,
        now: datetime,
    ) -> Decision[RoutedCase]:
        referral = known.referral(referral_id) if known else None
        if known is None or referral is None:
            return _refused(Refusal.UNKNOWN_REFERRAL)
        return effect(said, _About(known, referral, situation, staff_id, cause_id, now))

    return decide


def _wrong_state(referral: Referral, transition: Transition) -> Decision[RoutedCase] | None:
    """The refusal where the table of the life cycle does not have the transition from there."""
    expected = LIFE[transition].states
    if referral.state in expected:
        return None
    return _refused(Refusal.WRONG_STATE, referral, expected=sorted(expected))


def _not_theirs(about: _About) -> Decision[RoutedCase] | None:
    """The refusal where somebody else has the task, or nobody."""
    has_it = about.referral.claimed_by
    if has_it == about.staff_id:
        return None
    if has_it is None:
        return _refused(Refusal.NOT_CLAIMED, about.referral)
    return _refused(Refusal.CLAIMED, about.referral, claimed_by=has_it)


def _in_hands_of(about: _About, staff_id: StaffId | None) -> Decision[RoutedCase]:
    """Who has a task is the office's own affair: nobody is told."""
    claimed = {"claimed_by": staff_id, "claimed_at": about.now if staff_id else None}
    return Decision(state=about.case.with_referrals([about.referral.model_copy(update=claimed)]))


@_finding
def claim(said: Claim, about: _About) -> Decision[RoutedCase]:
    """One person takes a task on. Of two, the second learns who was first, and may take it over by that name."""
    if refused := _wrong_state(about.referral, Transition.ASSIGNED):
        return refused
    if about.referral.claimed_by in (None, said.instead_of) and about.referral.claimed_by != about.staff_id:
        return _in_hands_of(about, about.staff_id)
    return _not_theirs(about) or _UNCHANGED


@_finding
def release(_said: None, about: _About) -> Decision[RoutedCase]:
    """Whoever has the task gives it back; a task that nobody has stays so."""
    if refused := _wrong_state(about.referral, Transition.ASSIGNED):
        return refused
    if about.referral.claimed_by is None:
        return _UNCHANGED
    return _not_theirs(about) or _in_hands_of(about, None)


@_finding
def assign(said: Assignment, about: _About) -> Decision[RoutedCase]:
    """Offer the task to a partner the office chose. Legal basis and wish bind the office too; capacity does not: it may
    know more than was reported. A task is assigned once only, so whoever assigned it so says the same again, whatever
    the partner has made of it meanwhile."""
    case, referral = about.case, about.referral
    if (referral.claimed_by, referral.partner_id) == (about.staff_id, said.partner_id):
        return _UNCHANGED
    if refused := _wrong_state(referral, Transition.ASSIGNED) or _not_theirs(about):
        return refused
    agreement = about.situation.agreements.in_force(case.day)
    if agreement is None:
        return _refused(Refusal.PARTNER_NOT_POSSIBLE, referral, reason=UnplacedReason.NO_AGREEMENT.value)
    if against := stands_against(case, referral, said.partner_id, agreement):
        return _refused(Refusal.PARTNER_NOT_POSSIBLE, referral, reason=against.value)
    return about.concluded(
        *assigned(case, referral, said.partner_id, agreement, about.situation, about.now, Actor.OFFICE, said.reason)
    )


@_finding
def close(said: Closing, about: _About) -> Decision[RoutedCase]:
    """End the task without a partner; what waited for its concerns is placed now."""
    case, referral = about.case, about.referral
    if referral.state is ReferralState.CLOSED and (referral.claimed_by, referral.reason) == (
        about.staff_id,
        said.reason,
    ):
        return _UNCHANGED
    if refused := _wrong_state(referral, Transition.CLOSED_UNMET) or _not_theirs(about):
        return refused
    closed = referral.moved(Transition.CLOSED_UNMET, about.now, Actor.OFFICE, said.reason)
    told = ReferralClosedUnmet(case_id=case.id, referral_id=closed.id, concerns=closed.concerns, reason=said.reason)
    return about.concluded(case.with_referrals([closed]), told)


@_finding
def answer(_said: None, about: _About) -> Decision[RoutedCase]:
    """The office answered what a partner asked back, by word of mouth: the referral goes on."""
    if _was_answered(about.referral):
        return _UNCHANGED
    if refused := _wrong_state(about.referral, Transition.CLARIFICATION_ANSWERED):
        return refused
    agreement = about.situation.agreements.in_force(about.case.day)
    assert agreement is not None, "the referral was offered under it"
    moved, told = answered(about.case, about.referral, agreement, Actor.OFFICE, about.now)
    return about.concluded(about.case.with_referrals([moved]), told)


def _was_answered(referral: Referral) -> bool:
    """Whether the office's answer is the last that happened to it; an assignment has a reason."""
    return referral.state in WITH_PARTNER and referral.by is Actor.OFFICE and referral.reason is None
