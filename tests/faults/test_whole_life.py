"""Routing is killed between any two steps of a referral's life: it ends as if nobody had touched it."""

import json
import signal
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from faults.checker import bus_violated
from faults.instances import instances_of_routing
from routed import ALL_THREE, PARTNERS, Routed, a_letter, an_agreement, queue_of, routed, some_facts
from toy.run import AFTER_TRANSACTION, BEFORE_COMMIT
from toy.trial import eventually

from deploy.backends import Backends
from services.routing.domain.case import Referral, RoutedCase
from shared.contracts.codes import Actor, PauseReason, ServiceOutcome
from shared.contracts.codes import ReferralState as S
from shared.contracts.intake import CaseOpened
from shared.contracts.partners import (
    Reply,
    ReplyAccepted,
    ReplyCompleted,
    ReplyPaused,
    ReplyResumed,
    ReplyStarted,
)

Step = tuple[Callable[[Routed, str], Awaitable[Any]], Callable[[Sequence[Referral]], bool]]
"""What happens to a case, and whether its referrals have come so far."""
IN_A_WEEK: Final = datetime.now(UTC).date() + timedelta(days=7)


async def opened(routing: Routed, case_id: str) -> None:
    facts = some_facts(ALL_THREE).model_copy(update={"case_id": case_id})
    await routing.write(a_letter("intake", CaseOpened(**dict(facts))))


def run_out(kind: str) -> Callable[[Routed, str], Awaitable[int]]:
    return lambda routing, case_id: routing.let_run_out([case_id], kind)


def replied(reply: type[Reply], **said: Any) -> Callable[[Routed, str], Awaitable[None]]:
    async def write(routing: Routed, case_id: str) -> None:
        last = (await last_of(routing, case_id))[1]
        await routing.reply(last.partner_id or "", reply(referral_id=last.id, **said))

    return write


async def booked(routing: Routed, case_id: str) -> None:
    await routing.book(*await last_of(routing, case_id))


async def last_of(routing: Routed, case_id: str) -> tuple[RoutedCase, Referral]:
    [case] = await routing.cases([case_id])
    return case, case.referrals[-1]


LIFE: Final[Sequence[Step]] = (
    (opened, lambda known: len(known) == 1),
    (run_out("response"), lambda known: known[0].is_overdue),
    (run_out("grace"), lambda known: len(known) == 2),
    (replied(ReplyAccepted), lambda known: known[1].state is S.ACCEPTED),
    (booked, lambda known: known[1].state is S.SCHEDULED),
    (replied(ReplyStarted), lambda known: known[1].state is S.IN_SERVICE),
    (replied(ReplyPaused, reason=PauseReason.ILLNESS, review_on=IN_A_WEEK), lambda known: known[1].state is S.ON_HOLD),
    (run_out("review"), lambda known: known[1].state is S.ON_HOLD and known[1].by is Actor.CLOCK),
    (replied(ReplyResumed), lambda known: known[1].state is S.IN_SERVICE),
    (replied(ReplyCompleted, outcome=ServiceOutcome.HELPED), lambda known: known[1].state is S.COMPLETED),
)
IN_A_LANE: Final = 3


class Lanes:
    """Cases on their way: those of one lane are at the same step, those of the next one step further."""

    def __init__(self, routing: Routed) -> None:
        self._routing = routing
        self.at = {case.case_id: -step for step in range(len(LIFE) + 1) for case in (some_facts(ALL_THREE),) * 1}
