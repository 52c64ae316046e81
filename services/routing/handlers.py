"""What routing does about each event: how the event finds its case, and the decision that follows."""

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

import structlog

from services.routing.domain import capacity, decisions, partner_queue, replies
from services.routing.domain.case import RoutedCase
from services.routing.domain.situation import Situation
from shared.contracts import partners
from shared.contracts.intake import CaseAmended, CaseOpened, CaseWithdrawn
from shared.contracts.scheduling import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentMissed,
    AppointmentRescheduled,
)
from shared.pipeline.decisions import Decision, Reaction, Received
from shared.pipeline.reading import Subscription
from shared.topics import REPLIES

log = structlog.get_logger()

SUBSCRIPTIONS: Final = (
    Subscription(r"^(intake\.cases|scheduling\.appointments)\.v1$", "routing"),
    # A group of their own, so that a partner's flood of replies holds up nobody's case.
    Subscription(REPLIES, "routing-replies", reject=partner_queue.rejected),
)

Decide = Callable[[Situation, Received[Any], Any, datetime], Decision[Any]]
_CASE: Final = attrgetter("case_id")
_REFERRAL: Final = attrgetter("referral_id")
"""A partner names the referral only; the repository finds its case."""


def _amend(
    situation: Situation, received: Received[CaseAmended], known: RoutedCase | None, now: datetime
) -> Decision[RoutedCase]:
    decision = decisions.amend(situation, received, known, now)
    if known is None and decision is decisions.NOTHING:
        log.info("forgotten_case_amended", case_id=received.event.case_id)
    return decision


_DECISIONS: Final[Sequence[tuple[type[Any], Decide, Callable[[Any], str]]]] = (
    (CaseOpened, decisions.route, _CASE),
    (CaseAmended, _amend, _CASE),
    (CaseWithdrawn, decisions.withdraw, _CASE),
    (AppointmentBooked, decisions.schedule, _CASE),
    (AppointmentRescheduled, decisions.reschedule, _CASE),
    (AppointmentCancelled, decisions.unschedule, _CASE),
    (AppointmentMissed, decisions.unschedule, _CASE),
    (partners.ReplyAccepted, replies.accept, _REFERRAL),
    (partners.ReplyDeclined, replies.decline, _REFERRAL),
    (partners.ReplyClarificationRequested, replies.ask_back, _REFERRAL),
    (partners.ReplyClarificationAnswered, replies.answer, _REFERRAL),
    (partners.ReplyStarted, replies.start, _REFERRAL),
    (partners.ReplyPaused, replies.pause, _REFERRAL),
    (partners.ReplyResumed, replies.resume, _REFERRAL),
    (partners.ReplyHandedOn, replies.hand_on, _REFERRAL),
    (partners.ReplyCompleted, replies.complete, _REFERRAL),
    (partners.ReplyFailed, replies.fail, _REFERRAL),
    (partners.ReplyReopened, replies.reopen, _REFERRAL),
    (partners.CapacityReported, capacity.note_capacity, capacity.capacity_id),
)


def reactions(situation: Callable[[], Situation]) -> Sequence[Reaction[Any, Any]]:
    """All reactions of this service, each given what the attempt sees beside the case."""

    def seeing(decide: Decide) -> Callable[[Received[Any], Any, datetime], Decision[Any]]:
        return lambda received, known, now: decide(situation(), received, known, now)

    return [Reaction(event, seeing(decide), key) for event, decide, key in _DECISIONS]
