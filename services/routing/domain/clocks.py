"""The terms of a referral: when they end, how one stands still, and what happens when one is over."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from services.routing.domain import partner_queue
from services.routing.domain.agreement import Agreement
from services.routing.domain.case import Clock, ClockKind, Referral, RoutedCase, Waiting
from services.routing.domain.lifecycle import Transition
from shared.contracts import Event
from shared.contracts.base import PartnerId, RuleId
from shared.contracts.codes import Actor
from shared.contracts.routing import ClarificationAnswered
from shared.days import local_day, working_days_after, working_days_left


def response_clock(agreement: Agreement, partner_id: PartnerId, rules: Iterable[RuleId], now: datetime) -> Clock:
    """The partner's time to respond, from now; the shortest that one of the rules names, or else its own."""
    partner = agreement.partner(partner_id)
    named = (agreement.rules_by_id[rule].response_days for rule in rules)
    days = min(filter(None, named), default=partner.response_days)
    return Clock.until(ClockKind.RESPONSE, working_days_after(local_day(now), days, partner.closed_on))


def grace_clock(agreement: Agreement, partner_id: PartnerId, now: datetime) -> Clock:
    """The partner's days of grace; the first is today, on which it was found to be overdue."""
    partner = agreement.partner(partner_id)
    yesterday = local_day(now) - timedelta(days=1)
    return Clock.until(ClockKind.GRACE, working_days_after(yesterday, partner.grace_days, partner.closed_on))


def clarification_clock(agreement: Agreement, now: datetime) -> Clock:
    """How long a partner waits for the answer to its question."""
    return Clock.until(ClockKind.CLARIFICATION, working_days_after(local_day(now), agreement.clocks.clarification))


def review_clock(last: date) -> Clock:
    """A resting service is looked at when that day is over."""
    return Clock.until(ClockKind.REVIEW, last)


def stopped(referral: Referral, agreement: Agreement, now: datetime) -> Waiting:
    """The referral waits for an answer; the working days its clock had left are kept, today's included."""
    clock = referral.clock
    if clock is None:
        return Waiting(back=referral.state)
    assert referral.partner_id is not None, "only a partner has a term to respond"
    closed = agreement.partner(referral.partner_id).closed_on
    return Waiting(back=referral.state, clock=clock.kind, days=working_days_left(local_day(now), clock.last, closed))


def waited(referral: Referral, transition: Transition, agreement: Agreement, by: Actor, now: datetime) -> Referral:
    """The referral goes on where it was; the clock that stood still has the days it had left, at least today's."""
    waiting = referral.waiting
    assert waiting is not None, "it waits"
    assert referral.partner_id is not None, "only a partner asks back"
    clock = None
    if waiting.clock is not None:
        yesterday = local_day(now) - timedelta(days=1)
        closed = agreement.partner(referral.partner_id).closed_on
        clock = Clock.until(waiting.clock, working_days_after(yesterday, max(waiting.days, 1), closed))
    return referral.moved(transition, now, by, back=waiting.back, clock=clock, waiting=None)


def answered(
    case: RoutedCase, referral: Referral, agreement: Agreement, by: Actor, now: datetime
) -> tuple[Referral, Event]:
    """The partner's question was answered, and it is told so."""
    moved = waited(referral, Transition.CLARIFICATION_ANSWERED, agreement, by, now)
    return moved, partner_queue.clarified(ClarificationAnswered, case, moved)


def is_due(referral: Referral, now: datetime) -> bool:
    """Whether the referral's clock has run out."""
    return referral.clock is not None and referral.clock.at <= now
