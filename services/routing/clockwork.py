"""Lets clocks take effect: looks for cases that are due and decides about them, in every instance.

Which instance is first is decided by the case's version; for the other nothing is due any more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, Final

import structlog

from services.routing.domain.case import RoutedCase
from services.routing.domain.notices import notices_due
from services.routing.domain.situation import Situation
from services.routing.domain.ticking import tick
from services.routing.repository import NOTICES, Due, RoutedCases
from shared.contracts import Event
from shared.contracts.base import derived_id
from shared.contracts.routing import ClarificationExpired, ReferralExpired, ReferralOverdue, ServiceReviewDue
from shared.envelope import Cause, new_traceparent
from shared.pipeline.decisions import Command, Decision, Failed, Mark, Outcome
from shared.pipeline.engine import utc_now
from shared.pipeline.rewinding import Repetition

log = structlog.get_logger()

Handle = Callable[[Sequence[Command[Any]]], Awaitable[list[Outcome[Any]]]]
"""The pipeline's `handle`: lets commands take effect and publishes what follows."""


class Clockwork:
    """One a process."""

    EVERY: Final = 2.0
    """Seconds between two looks while nothing is due."""
    AT_ONCE: Final = 100
    """Cases in a transaction: few enough that an offer waits for one of them only a moment."""
    PUTS_OFF: Final = 60.0
    """Seconds that a case waits whose clocks could not take effect, so that it does not hold up the others."""
    TIDIES_EVERY: Final = 60.0

    def __init__(self, handle: Handle, cases: RoutedCases, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._handle = handle
        self._cases = cases
        self._clock = clock
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tidies_at = 0.0
        self._put_off: dict[str, float] = {}
        """Until when, by a clock that nobody sets."""

    def nudge(self) -> None:
        """What took effect starts clocks and makes none come due."""

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finish the cases at hand."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                busy = await self.work()
            except Exception:
                log.exception("clocks_put_off")
                busy = False
            if not busy:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), self.EVERY)

    async def work(self) -> bool:
        """Let what is due take effect, as much as goes at once; returns whether more may be due."""
        now = self._clock()
        if monotonic() >= self._tidies_at:
            await self._tidy(now)
            self._tidies_at = monotonic() + self.TIDIES_EVERY
        self._put_off = {case_id: until for case_id, until in self._put_off.items() if until > monotonic()}
        due = await self._cases.due(now, self.AT_ONCE, but=list(self._put_off))
        if due:
            outcomes = await self._handle([ticking(self._cases, case) for case in due])
            failed = {case.case_id for case, outcome in zip(due, outcomes, strict=True) if isinstance(outcome, Failed)}
            self._put_off |= dict.fromkeys(failed, monotonic() + self.PUTS_OFF)
            log.info("clocks_ran_out", cases=len(due), failed=len(failed))
        return len(due) == self.AT_ONCE

    async def _tidy(self, now: datetime) -> None:
        """Tell that the agreement ends, once, and forget what is too old."""
        await self._cases.surroundings.look()
        for notice in notices_due(self._cases.situation.agreements, now):
            name = f"{notice.agreement}/{notice.days_left}"
            cause = Cause(derived_id("notice", name), derived_id("notice", name), new_traceparent())
            decision: Decision[Any] = Decision(events=(notice,), apart=True)
            await self._handle([Command(None, cause, partial(_always, decision), (Mark(NOTICES, name),))])
        if forgotten := await self._cases.forget(now):
            log.info("cases_forgotten", cases=forgotten)


def ticking(cases: RoutedCases, due: Due) -> Command[Any]:
    """Lets the clocks of a case take effect that are due. Its cause follows from what was told of the case so far, so
    that two instances mean the same, and never another one, whatever the system's clock does."""
    id_ = derived_id("clock", due.case_id, str(due.sequence))

    def decide(known: RoutedCase | None, at: datetime) -> Decision[RoutedCase]:
        return tick(cases.situation, id_, known, at)

    return Command(due.case_id, Cause(id_, due.correlation_id, due.traceparent), decide)


def again(situation: Callable[[], Situation]) -> Mapping[type[Event], Repetition[RoutedCase]]:
    """After a restore: what clocks did, by what was told of it."""

    def ticked(cause_id: str, known: RoutedCase | None, at: datetime) -> Decision[RoutedCase]:
        return tick(situation(), cause_id, known, at)

    return dict.fromkeys((ReferralOverdue, ReferralExpired, ClarificationExpired, ServiceReviewDue), ticked)


def _always(decision: Decision[Any], _known: None, _now: datetime) -> Decision[Any]:
    return decision
