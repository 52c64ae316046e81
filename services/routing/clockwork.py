"""Lets clocks take effect: looks for cases that are due and decides about them, in every instance.

Which instance is first is decided by the case's version; for the other nothing is due any more.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from services.routing.domain.case import RoutedCase
from services.routing.domain.notices import notices_due
from services.routing.domain.ticking import tick
from services.routing.repository import NOTICES, Due, RoutedCases
from shared.contracts.base import derived_id
from shared.envelope import Cause, new_traceparent
from shared.pipeline.decisions import Command, Decision, Failed, Mark, Outcome
from shared.pipeline.engine import utc_now

log = structlog.get_logger()

Handle = Callable[[Sequence[Command[Any]]], Awaitable[list[Outcome[Any]]]]
"""The pipeline's `handle`: lets commands take effect and publishes what follows."""


class Clockwork:
    """One a process."""

    EVERY: Final = 1.0
    """Seconds between two looks while nothing is due."""
    AT_ONCE: Final = 100
    """Cases in a transaction: few enough that an offer waits for one of them only a moment."""
    PUTS_OFF: Final = timedelta(minutes=1)
    """How long a case waits whose clocks could not take effect, so that it does not hold up the others."""
    TIDIES_EVERY: Final = 60.0
    """Seconds."""

    def __init__(self, handle: Handle, cases: RoutedCases, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._handle = handle
        self._cases = cases
        self._clock = clock
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tidied_at: float | None = None
        self._put_off: dict[str, datetime] = {}
        self._warned: set[str] = set()
        """Warnings that need not be looked up again."""

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
        if self._tidied_at is None or time.monotonic() - self._tidied_at > self.TIDIES_EVERY:
            await self._tidy(now)
            self._tidied_at = time.monotonic()
        self._put_off = {case_id: until for case_id, until in self._put_off.items() if until > now}
        due = await self._cases.due(now, self.AT_ONCE, but=list(self._put_off))
        if due:
            outcomes = await self._handle([ticking(self._cases, case) for case in due])
            failed = {case.case_id for case, outcome in zip(due, outcomes, strict=True) if isinstance(outcome, Failed)}
            self._put_off |= dict.fromkeys(failed, now + self.PUTS_OFF)
            log.info("clocks_ran_out", cases=len(due), failed=len(failed))
            return len(due) == self.AT_ONCE
        return False

    async def _tidy(self, now: datetime) -> None:
        """What needs no haste: warn of the agreement's end, forget cases whose time is over."""
        await self._cases.surroundings.look()
        await self._warn(now)
        if forgotten := await self._cases.forget(now):
            log.info("cases_forgotten", cases=forgotten)

    async def _warn(self, now: datetime) -> None:
        """Tell that the agreement ends, once."""
        for notice in notices_due(self._cases.situation.agreements, now):
            name = f"{notice.agreement}/{notice.days_left}"
            if name not in self._warned:
                cause = Cause(derived_id("notice", name), derived_id("notice", name), new_traceparent())
                decision: Decision[Any] = Decision(events=(notice,), apart=True)
                marks = (Mark(NOTICES, name),)
                await self._handle([Command(None, cause, partial(_always, decision), marks)])
                self._warned.add(name)


def ticking(cases: RoutedCases, due: Due) -> Command[Any]:
    """Lets the clocks of a case take effect. The cause follows from the clocks that are due, so that two instances, and
    a rewind, mean the same."""
    id_ = derived_id("clock", due.case_id, *due.clocks)

    def decide(known: RoutedCase | None, now: datetime) -> Decision[RoutedCase]:
        return tick(cases.situation, id_, known, now)

    return Command(due.case_id, Cause(id_, due.correlation_id, due.traceparent), decide)


async def run_out(cases: RoutedCases) -> AsyncIterator[Command[Any]]:
    """After a restore: what clocks did since then happens again, under the same ids, and is not told twice."""
    for due in await cases.due(utc_now(), at_most=0):
        yield ticking(cases, due)


def _always(decision: Decision[Any], _known: None, _now: datetime) -> Decision[Any]:
    return decision
