"""The life of a referral as a table: which transition is possible from which states, and where it leads.

Source: DESIGN section 6. Replies, clocks, the office, the sender and scheduling all ask this one table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from shared.contracts.codes import ReferralState as S


class Transition(StrEnum):
    """What can happen to a referral, by the name of the event that tells it."""

    ASSIGNED = "referral.offered"
    CLOSED_UNMET = "referral.closed_unmet"
    RELEASED = "referral.released"
    ACCEPTED = "referral.accepted"
    DECLINED = "referral.declined"
    OVERDUE = "referral.overdue"
    EXPIRED = "referral.expired"
    CLARIFICATION_REQUESTED = "clarification.requested"
    CLARIFICATION_ANSWERED = "clarification.answered"
    CLARIFICATION_EXPIRED = "clarification.expired"
    SCHEDULED = "referral.scheduled"
    RESCHEDULED = "referral.rescheduled"
    UNSCHEDULED = "referral.unscheduled"
    STARTED = "service.started"
    PAUSED = "service.paused"
    RESUMED = "service.resumed"
    REVIEW_DUE = "service.review_due"
    HANDED_ON = "referral.handed_on"
    COMPLETED = "referral.completed"
    FAILED = "referral.failed"
    REOPENED = "referral.reopened"
    WITHDRAWN = "referral.withdrawn"
    CANCELLED = "referral.cancelled"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table. `to` is None where the state stays, or where the referral goes back to the one before."""

    states: frozenset[S]
    to: S | None = None


WITH_PARTNER: Final = frozenset({S.OFFERED, S.ACCEPTED, S.WAITING, S.SCHEDULED, S.IN_SERVICE, S.ON_HOLD})
"""A partner has it in hand."""
OPEN: Final = WITH_PARTNER | {S.HELD, S.CLEARING}
"""A partner or the office has it in hand."""
SETTLED: Final = frozenset({S.COMPLETED, S.FAILED, S.CLOSED, S.INFORMED})
"""Its concerns have come to an end; they are not placed again."""


def _from(*states: S, to: S | None = None) -> Row:
    return Row(frozenset(states), to)


LIFE: Final[Mapping[Transition, Row]] = MappingProxyType(
    {
        Transition.ASSIGNED: _from(S.CLEARING, to=S.OFFERED),
        Transition.CLOSED_UNMET: _from(S.CLEARING, to=S.CLOSED),
        Transition.RELEASED: _from(S.HELD, to=S.RELEASED),
        Transition.ACCEPTED: _from(S.OFFERED, to=S.ACCEPTED),
        Transition.DECLINED: _from(S.OFFERED, to=S.DECLINED),
        Transition.OVERDUE: _from(S.OFFERED),
        Transition.EXPIRED: _from(S.OFFERED, to=S.EXPIRED),
        Transition.CLARIFICATION_REQUESTED: _from(S.OFFERED, S.ACCEPTED, S.IN_SERVICE, to=S.WAITING),
        Transition.CLARIFICATION_ANSWERED: _from(S.WAITING),
        Transition.CLARIFICATION_EXPIRED: _from(S.WAITING),
        Transition.SCHEDULED: _from(S.ACCEPTED, to=S.SCHEDULED),
        Transition.RESCHEDULED: _from(S.SCHEDULED),
        Transition.UNSCHEDULED: _from(S.SCHEDULED, to=S.ACCEPTED),
        Transition.STARTED: _from(S.ACCEPTED, S.SCHEDULED, to=S.IN_SERVICE),
        Transition.PAUSED: _from(S.IN_SERVICE, to=S.ON_HOLD),
        Transition.RESUMED: _from(S.ON_HOLD, to=S.IN_SERVICE),
        Transition.REVIEW_DUE: _from(S.ON_HOLD),
        Transition.HANDED_ON: _from(S.ACCEPTED, S.SCHEDULED, S.IN_SERVICE, to=S.HANDED_ON),
        Transition.COMPLETED: _from(S.IN_SERVICE, to=S.COMPLETED),
        Transition.FAILED: _from(S.IN_SERVICE, to=S.FAILED),
        Transition.REOPENED: _from(S.COMPLETED, S.FAILED, to=S.IN_SERVICE),
        Transition.WITHDRAWN: Row(OPEN, S.WITHDRAWN),
        Transition.CANCELLED: Row(OPEN, S.CANCELLED),
    }
)


class IllegalTransitionError(Exception):
    """A decision would move a referral as the table does not allow: a mistake of ours, not of a sender."""

    def __init__(self, state: S, transition: Transition) -> None:
        super().__init__(f"{transition} is not possible from {state}")
        self.state = state
        self.transition = transition


def allows(state: S, transition: Transition) -> bool:
    """Whether the table has this transition from this state."""
    return state in LIFE[transition].states


def after(state: S, transition: Transition) -> S:
    """Where the transition leads, the same state where it leads nowhere else; raises `IllegalTransitionError`."""
    row = LIFE[transition]
    if state not in row.states:
        raise IllegalTransitionError(state, transition)
    return row.to or state
