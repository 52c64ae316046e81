"""Sends what is pending, at most once: take up a chunk, ask for the persons, send, note what became of it.

Every step is stored before the next begins. A process that dies in between leaves messages in `sending`; once their
lease has passed, any instance finds them here again and ends them as `unknown`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import partial
from typing import Final

import structlog

from services.notify.domain import Lease, Message, NotifiedCase, conclude, take_up
from services.notify.letters import Letters
from services.notify.persons import Person, Persons, PersonsUnavailableError
from services.notify.repository import NotifiedCases
from services.notify.transport import NotSentError, Transport, UnreachableError
from shared.contracts.base import CaseId, Language, PersonId, new_id
from shared.contracts.codes import MessageOutcome
from shared.mongo import UnavailableError
from shared.pipeline.decisions import Command, Done, Failed, Outcome
from shared.pipeline.engine import utc_now

log = structlog.get_logger()

Handle = Callable[[Sequence[Command[NotifiedCase]]], Awaitable[list[Outcome[NotifiedCase]]]]
"""The pipeline's `handle`: lets commands take effect and publishes what follows."""


class Pace(Enum):
    """When to look for messages again."""

    AT_ONCE = auto()
    WHEN_NUDGED = auto()
    AFTER_A_PAUSE = auto()


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of a message that was taken up; without an outcome nothing went out."""

    case_id: CaseId
    message: Message
    outcome: MessageOutcome | None = None
    language: Language | None = None


class Sender:
    """One a process; several processes share the work. `lease` is how long a message may stay in `sending`."""

    EVERY: Final = 2.0
    """Seconds until it looks again without being nudged; also the pause while intake or the mail server is away."""
    LAST_WORDS: Final = 20.0
    """Seconds a stop waits for the mail that is just going out."""

    def __init__(
        self,
        handle: Handle,
        cases: NotifiedCases,
        persons: Persons,
        letters: Letters,
        transport: Transport,
        *,
        lease: timedelta,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._handle = handle
        self._cases = cases
        self._persons = persons
        self._letters = letters
        self._transport = transport
        self._lease = lease
        self._clock = clock
        self._nudged = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finish the mail at hand; the others of its chunk become pending again."""
        self._stopping.set()
        self._nudged.set()
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, self.LAST_WORDS)
        await self._transport.close()
        await self._persons.close()

    def nudge(self) -> None:
        """Look at once: there may be something to send."""
        self._nudged.set()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            self._nudged.clear()
            try:
                pace = await self.send_chunk()
            except Exception:
                log.exception("sending_put_off")
                pace = Pace.AFTER_A_PAUSE
            if pace is not Pace.AT_ONCE:
                await self._rest(self._nudged if pace is Pace.WHEN_NUDGED else self._stopping)

    async def _rest(self, until: asyncio.Event) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(until.wait(), self.EVERY)

    async def send_chunk(self) -> Pace:
        """Send what is due, as much as the transport takes at once."""
        now = self._clock()
        lease = Lease(owner=new_id(), until=now + self._lease)
        due = [
            (case.id, message)
            for case in await self._cases.due(now, at_most=self._transport.at_once)
            for message in case.due(now)
        ][: self._transport.at_once]
        if not due:
            return Pace.WHEN_NUDGED
        taken = await self._take_up(due, lease)
        if not taken:
            return Pace.AT_ONCE
        attempts = await self._send(taken, last_start=now + self._lease / 2)
        await self._conclude(attempts, lease)
        log.info("messages_handled", **Counter(attempt.outcome or "put_off" for attempt in attempts))
        went = any(attempt.outcome is not None for attempt in attempts)
        return Pace.AT_ONCE if went else Pace.AFTER_A_PAUSE

    async def _take_up(self, due: Sequence[tuple[CaseId, Message]], lease: Lease) -> Sequence[tuple[CaseId, Message]]:
        """Those of the due messages that are ours to send now."""
        outcomes = await self._stored(
            [
                Command(case_id, message.cause, partial(take_up, message_id=message.id, lease=lease))
                for case_id, message in due
            ]
        )
        return [
            (case_id, message)
            for (case_id, message), outcome in zip(due, outcomes, strict=True)
            if isinstance(outcome, Done) and outcome.state and outcome.state.is_sending(message.id, lease.owner)
        ]

    async def _send(self, taken: Sequence[tuple[CaseId, Message]], *, last_start: datetime) -> Sequence[Attempt]:
        try:
            persons = await self._persons.fetch({message.person_id for _, message in taken})
        except PersonsUnavailableError as error:
            log.warning("persons_unavailable", error=str(error))
            return [Attempt(case_id, message) for case_id, message in taken]
        attempts: list[Attempt] = []
        for case_id, message in taken:
            if self._stopping.is_set() or self._clock() > last_start:
                break
            try:
                attempts.append(await self._send_one(case_id, message, persons))
            except UnreachableError as error:
                log.warning("mail_server_unreachable", error=str(error))
                break
        left = taken[len(attempts) :]
        return attempts + [Attempt(case_id, message) for case_id, message in left]

    async def _send_one(self, case_id: CaseId, message: Message, persons: Mapping[PersonId, Person]) -> Attempt:
        person = persons.get(message.person_id)
        if person is None or person.mail_address is None:
            return Attempt(case_id, message, MessageOutcome.NO_CHANNEL)
        try:
            mail = self._letters.compose(message, person, person.mail_address)
        except Exception:
            log.exception("message_not_composed", message_id=message.id, place=message.place)
            return Attempt(case_id, message)
        try:
            outcome = await self._transport.send(mail)
        except UnreachableError:
            raise
        except NotSentError as error:
            log.warning("message_put_off", message_id=message.id, error=str(error))
            return Attempt(case_id, message)
        except Exception:
            log.exception("message_lost_from_sight", message_id=message.id)
            return Attempt(case_id, message, MessageOutcome.UNKNOWN, mail.language)
        return Attempt(case_id, message, outcome, mail.language)

    async def _conclude(self, attempts: Sequence[Attempt], lease: Lease) -> None:
        """Store the outcomes."""
        outcomes = await self._stored(
            [
                Command(
                    attempt.case_id,
                    attempt.message.cause,
                    partial(
                        conclude,
                        message_id=attempt.message.id,
                        owner=lease.owner,
                        outcome=attempt.outcome,
                        language=attempt.language,
                    ),
                )
                for attempt in attempts
            ]
        )
        for outcome in outcomes:
            if isinstance(outcome, Failed):
                raise outcome.error

    async def _stored(self, commands: Sequence[Command[NotifiedCase]]) -> list[Outcome[NotifiedCase]]:
        """What came of the commands; while the store is away this asks again.

        They may have taken effect all the same, and what was taken up or went out must not end as unknown.
        """
        while True:
            try:
                outcomes = await self._handle(commands)
                for outcome in outcomes:
                    if isinstance(outcome, Failed) and isinstance(outcome.error, UnavailableError):
                        raise outcome.error
            except UnavailableError as error:
                if self._stopping.is_set():
                    raise
                log.warning("messages_wait_for_the_store", error=str(error), waiting=len(commands))
                await self._rest(self._stopping)
            else:
                return outcomes
