"""What happens when terms are over: a pure decision about a case, whoever noticed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from services.routing.domain import partner_queue
from services.routing.domain.agreement import Agreement
from services.routing.domain.case import ClockKind, Referral, RoutedCase
from services.routing.domain.clocks import grace_clock, is_due, review_clock, waited
from services.routing.domain.lifecycle import Transition
from services.routing.domain.placing import conclude
from services.routing.domain.situation import Situation
from shared.contracts import Event
from shared.contracts.codes import Actor
from shared.contracts.routing import ClarificationExpired
from shared.days import local_day, working_days_after
from shared.pipeline.decisions import Decision

_Moved = tuple[Referral, Event]


def tick(situation: Situation, cause_id: str, known: RoutedCase | None, now: datetime) -> Decision[RoutedCase]:
    """Let every clock of the case that has run out take effect; where another was first, nothing is due any more."""
    due = [referral for referral in known.referrals if is_due(referral, now)] if known else []
    if known is None or not due:
        return Decision()
    agreement = situation.agreements.in_force(known.day)
    assert agreement is not None, "the referrals were offered under it"
    moved = [_OVER[referral.clock.kind](known, referral, agreement, now) for referral in due if referral.clock]
    case = known.with_referrals(referral for referral, _ in moved)
    return conclude(case, [event for _, event in moved], situation, cause_id, now)


def _overdue(case: RoutedCase, referral: Referral, agreement: Agreement, now: datetime) -> _Moved:
    assert referral.partner_id is not None, "only a partner has a term to respond"
    grace = grace_clock(agreement, referral.partner_id, now)
    moved = referral.moved(Transition.OVERDUE, now, Actor.CLOCK, clock=grace)
    return moved, partner_queue.overdue(case, moved, grace.last)


def _expired(case: RoutedCase, referral: Referral, _agreement: Agreement, now: datetime) -> _Moved:
    return referral.moved(Transition.EXPIRED, now, Actor.CLOCK), partner_queue.expired(case, referral)


def _unanswered(case: RoutedCase, referral: Referral, agreement: Agreement, now: datetime) -> _Moved:
    moved = waited(referral, Transition.CLARIFICATION_EXPIRED, agreement, Actor.CLOCK, now)
    return moved, partner_queue.clarified(ClarificationExpired, case, moved)


def _review_due(case: RoutedCase, referral: Referral, agreement: Agreement, now: datetime) -> _Moved:
    again = review_clock(working_days_after(local_day(now), agreement.clocks.review))
    moved = referral.moved(Transition.REVIEW_DUE, now, Actor.CLOCK, clock=again)
    return moved, partner_queue.review_due(case, moved, again.last)


_OVER: Final[Mapping[ClockKind, Callable[[RoutedCase, Referral, Agreement, datetime], _Moved]]] = MappingProxyType(
    {
        ClockKind.RESPONSE: _overdue,
        ClockKind.GRACE: _expired,
        ClockKind.CLARIFICATION: _unanswered,
        ClockKind.REVIEW: _review_due,
    }
)
