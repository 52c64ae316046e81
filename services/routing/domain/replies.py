"""What follows from a partner's replies, each guarded by the table of the life cycle; what is refused is answered."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import wraps
from typing import Any, Final, TypeVar

from services.routing.domain import partner_queue
from services.routing.domain.agreement import Agreement
from services.routing.domain.assigning import handed_over, may_be_handed_to, stands_against
from services.routing.domain.case import Referral, RoutedCase
from services.routing.domain.clocks import answered, clarification_clock, review_clock, stopped
from services.routing.domain.lifecycle import LIFE, Transition
from services.routing.domain.placing import conclude, places_taken
from services.routing.domain.situation import Situation
from shared.contracts import Event
from shared.contracts.codes import Actor, RejectionReason
from shared.contracts.partners import (
    Reply,
    ReplyAccepted,
    ReplyClarificationAnswered,
    ReplyClarificationRequested,
    ReplyCompleted,
    ReplyDeclined,
    ReplyFailed,
    ReplyHandedOn,
    ReplyPaused,
    ReplyReopened,
    ReplyResumed,
    ReplyStarted,
)
from shared.days import local_day
from shared.pipeline.decisions import Decision, Received

R = TypeVar("R", bound=Reply)


@dataclass(frozen=True, slots=True)
class About:
    """What a reply is about: one of its sender's referrals, under the agreement it was offered under."""

    case: RoutedCase
    referral: Referral
    agreement: Agreement
    situation: Situation
    now: datetime

    @property
    def today(self) -> date:
        """The day in the district."""
        return local_day(self.now)

    def moved(self, transition: Transition, reason: StrEnum | None = None, **fields: Any) -> Referral:
        """The referral after the partner moved it."""
        return self.referral.moved(transition, self.now, Actor.PARTNER, reason, **fields)


Answer = tuple[Referral, Event]
"""The referral after the reply, and what its partner is told."""
_Reply = Callable[[Situation, Received[R], RoutedCase | None, datetime], Decision[RoutedCase]]
_Effect = Callable[[R, About], Answer | RejectionReason]

A_YEAR: Final = timedelta(days=366)
LEEWAY: Final = timedelta(days=1)
"""A reply may claim to be from the future by so much: clocks are wrong, time zones are forgotten."""


def refused(
    received: Received[Any], reason: RejectionReason, referral: Referral | None = None, fits: Transition | None = None
) -> Decision[Any]:
    """The reply has no effect, and its sender learns why; `referral` is one of its own."""
    assert received.partner_id is not None, "a reply arrives on a partner's topic"
    expected = LIFE[fits].states if fits else ()
    state = referral.state if referral else None
    rejected = partner_queue.rejected(received.partner_id, received.partition, received.offset, reason, state, expected)
    return Decision(events=(rejected,), apart=True)


def is_from_the_future(received: Received[Any], now: datetime) -> bool:
    """Whether the reply claims a time that has not come."""
    return received.time is not None and received.time > now + LEEWAY


def _replying(transition: Transition) -> Callable[[_Effect[R]], _Reply[R]]:
    """Guards a reply: only about the sender's own referral, in a state that the table allows. What is not the
    sender's is unknown to it."""

    def guarded(effect: _Effect[R]) -> _Reply[R]:
        @wraps(effect)
        def decide(
            situation: Situation, received: Received[R], known: RoutedCase | None, now: datetime
        ) -> Decision[RoutedCase]:
            referral = known.referral(received.event.referral_id) if known else None
            if known is None or referral is None or referral.partner_id != received.partner_id:
                return refused(received, RejectionReason.UNKNOWN_REFERRAL)
            if is_from_the_future(received, now):
                return refused(received, RejectionReason.FROM_THE_FUTURE)
            if referral.state not in LIFE[transition].states:
                return refused(received, RejectionReason.WRONG_STATE, referral, transition)
            agreement = situation.agreements.in_force(known.day)
            assert agreement is not None, "the referral was offered under it"
            answer = effect(received.event, About(known, referral, agreement, situation, now))
            if isinstance(answer, RejectionReason):
                return refused(received, answer, referral)
            moved, told = answer
            case, events = known.with_referrals([moved]), [told]
            if isinstance(received.event, ReplyHandedOn) and received.event.to:
                case, offered = handed_over(case, moved, received.event, agreement, situation, received.cause.id, now)
                events.append(offered)
            if transition is Transition.REOPENED:
                taken = places_taken(case, moved, agreement, situation)
                case = case.model_copy(update={"taken": case.taken + taken})
            return conclude(case, events, situation, received.cause.id, now)

        return decide

    return guarded


@_replying(Transition.ACCEPTED)
def accept(_reply: ReplyAccepted, about: About) -> Answer:
    """The partner takes the referral it was offered."""
    return about.moved(Transition.ACCEPTED), partner_queue.accepted(about.case, about.referral, about.agreement)


@_replying(Transition.DECLINED)
def decline(reply: ReplyDeclined, about: About) -> Answer:
    """The partner does not take it: the next one is asked, or the office."""
    told = partner_queue.declined(about.case, about.referral, reply.reason)
    return about.moved(Transition.DECLINED, reply.reason), told


@_replying(Transition.CLARIFICATION_REQUESTED)
def ask_back(reply: ReplyClarificationRequested, about: About) -> Answer | RejectionReason:
    """The partner asks back; its time to respond stands still."""
    if about.referral.questions >= about.agreement.clocks.questions:
        return RejectionReason.TOO_OFTEN
    clock = clarification_clock(about.agreement, about.now)
    waiting = stopped(about.referral, about.agreement, about.now)
    moved = about.moved(
        Transition.CLARIFICATION_REQUESTED,
        reply.topic,
        clock=clock,
        waiting=waiting,
        questions=about.referral.questions + 1,
    )
    return moved, partner_queue.asked_back(about.case, about.referral, reply.topic, clock.last)


@_replying(Transition.CLARIFICATION_ANSWERED)
def answer(_reply: ReplyClarificationAnswered, about: About) -> Answer:
    """The partner's question was answered, it says."""
    return answered(about.case, about.referral, about.agreement, Actor.PARTNER, about.now)


@_replying(Transition.STARTED)
def start(_reply: ReplyStarted, about: About) -> Answer:
    """The partner serves the person."""
    return about.moved(Transition.STARTED), partner_queue.started(about.case, about.referral)


@_replying(Transition.PAUSED)
def pause(reply: ReplyPaused, about: About) -> Answer | RejectionReason:
    """The service rests until the day of its review."""
    if reply.review_on < about.today:
        return RejectionReason.IN_THE_PAST
    if reply.review_on > about.today + A_YEAR:
        return RejectionReason.FROM_THE_FUTURE
    moved = about.moved(Transition.PAUSED, reply.reason, clock=review_clock(reply.review_on))
    return moved, partner_queue.paused(about.case, about.referral, reply.reason, reply.review_on)


@_replying(Transition.RESUMED)
def resume(_reply: ReplyResumed, about: About) -> Answer:
    """The service goes on."""
    return about.moved(Transition.RESUMED), partner_queue.resumed(about.case, about.referral)


@_replying(Transition.HANDED_ON)
def hand_on(reply: ReplyHandedOn, about: About) -> Answer | RejectionReason:
    """The partner gives the referral away, to a partner it names or to the agreement's rules."""
    if reply.to and not may_be_handed_to(reply.to, about.case, about.referral, about.agreement, about.situation):
        return RejectionReason.TARGET_NOT_POSSIBLE
    told = partner_queue.handed_on(about.case, about.referral, reply.reason)
    return about.moved(Transition.HANDED_ON, reply.reason), told


@_replying(Transition.COMPLETED)
def complete(reply: ReplyCompleted, about: About) -> Answer:
    """The service came to its end."""
    until = about.today + timedelta(days=about.agreement.clocks.reopening)
    moved = about.moved(Transition.COMPLETED, reply.outcome, outcome=reply.outcome, reopen_until=until)
    return moved, partner_queue.completed(about.case, about.referral, reply.outcome, until)


@_replying(Transition.FAILED)
def fail(reply: ReplyFailed, about: About) -> Answer:
    """The service could not be given to its end."""
    until = about.today + timedelta(days=about.agreement.clocks.reopening)
    moved = about.moved(Transition.FAILED, reply.reason, reopen_until=until)
    return moved, partner_queue.failed(about.case, about.referral, reply.reason, until)


@_replying(Transition.REOPENED)
def reopen(_reply: ReplyReopened, about: About) -> Answer | RejectionReason:
    """A completed or failed service goes on, if not too much time has passed and its partner may still have it all."""
    case, referral = about.case, about.referral
    assert referral.partner_id is not None, "only its partner replies"
    in_time = referral.reopen_until is not None and about.today <= referral.reopen_until
    is_whole = len(case.concerns_of(referral)) == len(referral.concerns)
    forbidden = stands_against(case, referral, referral.partner_id, about.agreement)
    if case.withdrawn or not in_time or not is_whole or forbidden:
        return RejectionReason.TOO_LATE
    moved = about.moved(Transition.REOPENED, outcome=None, reopen_until=None)
    return moved, partner_queue.reopened(about.case, about.referral)
