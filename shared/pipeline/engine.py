"""The promise itself: a batch of commands takes effect exactly once, in one transaction (DESIGN section 4).

    drop what the marks have seen → load the states in one query → decide with pure functions
    → one transaction: marks + states (compare-and-set) + outbox + records set aside

Lost races reload and decide again; a batch the store refuses is halved until the bad command stands alone.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Generic

import structlog
from pymongo import ASCENDING

from shared.contracts import BY_EVENT
from shared.contracts.base import derived_id
from shared.envelope import Cause, new_traceparent
from shared.metrics import DEAD_LETTERS, EVENTS_TOLD, LOST_RACES
from shared.migrations import Migration, ensure_collection
from shared.mongo import (
    Database,
    KeyTakenError,
    LostRaceError,
    RefusedError,
    Session,
    StoreError,
    UnavailableError,
    transact,
    translated,
)
from shared.pipeline.decisions import Command, Decision, Done, Failed, Outcome, Repeated, S, States
from shared.pipeline.outbox import OUTBOX, Row, row_of
from shared.pipeline.set_aside import OPEN, SetAside

log = structlog.get_logger()

INBOX: Final = "inbox"
INBOX_DAYS: Final = 37
"""Longest retention of a topic (30 days) and 7 more, so that nothing on the bus can outlive its mark."""


def utc_now() -> datetime:
    """Now, with the milliseconds that MongoDB keeps."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


_Key = tuple[str, str]
_Document = Mapping[str, Any]


@dataclass(slots=True)
class Plan(Generic[S]):
    """What one attempt would write."""

    outcomes: list[Outcome[S]] = field(default_factory=list)
    marks: dict[_Key, dict[str, Any]] = field(default_factory=dict)
    loaded: dict[str, int] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    """By every key that leads to a state, the state's id; also those that a decision of this batch made."""
    states: dict[str, S] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    rows: list[Row] = field(default_factory=list)
    aside: dict[str, _Document] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not (self.marks or self.changed or self.rows or self.aside)


class Engine(Generic[S]):
    """Runs commands against one service's states."""

    RACES: Final = 6
    """How often a batch decides again before it is halved, and a single command before the store counts as away."""

    def __init__(self, database: Database, states: States[S], *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._states = states
        self._aside = SetAside(database)
        self._clock = clock

    async def run(self, commands: Sequence[Command[S]]) -> tuple[list[Outcome[S]], set[str]]:
        """Decide and store; returns an outcome a command and the streams whose outbox rows may be unsent.

        Raises `UnavailableError`: some or all commands may have taken effect, and running them again is harmless.
        """
        for race in range(self.RACES):
            try:
                plan, streams = await self._decide(commands)
                await self._store(plan)
            except LostRaceError:
                LOST_RACES.inc()
                await asyncio.sleep(random.random() * 0.02 * 2**race)  # noqa: S311
            except RefusedError as error:
                if len(commands) > 1:
                    break
                return await self._without(commands[0], error)
            else:
                _count(plan)
                return plan.outcomes, streams
        if len(commands) == 1:
            lost = UnavailableError("a single command lost every race")
            if commands[0].fallback is not None:
                raise lost
            return [Failed(lost)], set()  # whoever asked hears of it; what the others asked is stored
        half = len(commands) // 2
        first, first_streams = await self.run(commands[:half])
        second, second_streams = await self.run(commands[half:])
        return first + second, first_streams | second_streams

    async def _without(self, command: Command[S], error: Exception) -> tuple[list[Outcome[S]], set[str]]:
        if command.fallback is None:
            return [Failed(error)], set()
        return await self.run([command.fallback(error)])

    async def _decide(self, commands: Sequence[Command[S]]) -> tuple[Plan[S], set[str]]:
        subjects = {subject for command in commands for subject in command.subjects}
        async with translated():
            seen, known, blocked = await asyncio.gather(
                self._seen(commands),
                self._load({command.key for command in commands if command.key is not None}),
                self._aside.blocked(subjects),
            )
            # A partner names a referral: only now it is known which case its reply is about.
            cases = {case.id for command in commands if command.parked and (case := known.get(command.key or ""))}
            blocked |= await self._aside.blocked(cases - subjects)
        now = self._clock()
        plan: Plan[S] = Plan()
        streams: set[str] = set()
        for key, state in known.items():
            plan.ids[key] = state.id
            plan.loaded[state.id] = state.version
            plan.states[state.id] = state
        for command in commands:
            stream = plan.ids.get(command.key, command.key) if command.key is not None else None
            repeated = self._repetition(command, seen, plan)
            if repeated is not None:
                plan.outcomes.append(Repeated(repeated))
                if stream is not None:  # whoever was first may have died before it published
                    streams.add(stream)
                continue
            ahead = blocked.intersection(command.subjects if stream is None else (*command.subjects, stream))
            if command.parked is not None and ahead:
                self._apply(command.parked(ahead), None, plan, streams, blocked, now)
            else:
                self._apply(command, stream, plan, streams, blocked, now)
        return plan, streams

    @staticmethod
    def _repetition(command: Command[S], seen: Mapping[_Key, _Document], plan: Plan[S]) -> _Document | None:
        for mark in command.marks:
            key = (mark.collection, mark.id)
            document = seen.get(key) or plan.marks.get(key)
            if document is not None:
                return document
        return None

    def _apply(
        self,
        command: Command[S],
        stream: str | None,
        plan: Plan[S],
        streams: set[str],
        blocked: set[str],
        now: datetime,
    ) -> None:
        """Decide one command against the state as the commands before it left it."""
        state = plan.states.get(stream) if stream is not None else None
        try:
            decision = command.decide(state, now)
            rows, after = self._numbered(command, decision, state, stream, now)
        except Exception as error:
            log.exception("decision_failed", cause=command.cause.id, error=type(error).__name__)
            if command.fallback is None:
                plan.outcomes.append(Failed(error))
            else:
                self._apply(command.fallback(error), None, plan, streams, blocked, now)
            return
        for mark in command.marks:
            document = {"_id": mark.id, **mark.fields, "at": now}
            if decision.answer is not None:
                document["answer"] = decision.answer
            plan.marks[mark.collection, mark.id] = document
        plan.rows += rows
        streams.update(row["stream"] for row in rows)
        if decision.aside is not None:
            plan.aside[decision.aside["_id"]] = decision.aside
            blocked.update(decision.aside["subjects"])
        if after is not None and after is not state:
            plan.states[after.id] = after
            plan.changed.add(after.id)
            plan.ids.update(dict.fromkeys(self._states.keys_of(after), after.id))
        plan.outcomes.append(Done(decision, after))

    @staticmethod
    def _numbered(
        command: Command[S], decision: Decision[S], state: S | None, stream: str | None, now: datetime
    ) -> tuple[list[Row], S | None]:
        if decision.apart:
            state = stream = None
        after = decision.state if decision.state is not None else state
        cause = command.cause
        number = after.sequence if after is not None else 0
        numbered = sum(not BY_EVENT[type(event)].apart for event in decision.events)
        if after is not None and (numbered or after is not state):
            thread = {} if after.correlation_id else {"correlation_id": cause.thread, "traceparent": cause.traceparent}
            after = after.model_copy(update={"sequence": number + numbered, **thread})
            cause = cause.within(after.correlation_id, after.traceparent)
        owner = after.id if after is not None else stream
        rows: list[Row] = []
        for index, event in enumerate(decision.events):
            if after is not None and BY_EVENT[type(event)].apart:
                rows.append(row_of(event, _out_of_nothing(cause), index, None, 0, now))
            else:
                number += 1
                rows.append(row_of(event, cause, index, owner, number, now))
        return rows, after

    async def _load(self, keys: set[str]) -> Mapping[str, S]:
        if not keys:
            return {}
        try:
            async with translated():
                return await self._states.load(keys)
        except StoreError:
            raise
        except Exception as error:
            raise _fault_of_one(error) from error

    async def _seen(self, commands: Sequence[Command[S]]) -> dict[_Key, _Document]:
        wanted: dict[str, list[str]] = defaultdict(list)
        for command in commands:
            for mark in command.marks:
                wanted[mark.collection].append(mark.id)
        found: dict[_Key, _Document] = {}
        for collection, ids in wanted.items():
            async for document in self._database[collection].find({"_id": {"$in": ids}}):
                found[collection, document["_id"]] = document
        return found

    async def _store(self, plan: Plan[S]) -> None:
        if plan.is_empty:
            return

        async def work(session: Session) -> None:
            for collection, marks in _by_collection(plan.marks).items():
                await self._database[collection].insert_many(marks, ordered=False, session=session)
            if plan.changed:
                states = [(plan.loaded.get(id_, 0), self._raised(plan, id_)) for id_ in sorted(plan.changed)]
                await self._states.save(states, session)
            if plan.rows:
                await self._journal(plan.rows, session)
            if plan.aside:
                await self._aside.store(plan.aside.values(), session)

        try:
            await transact(self._database, work)
        except StoreError:
            raise
        except Exception as error:
            raise _fault_of_one(error) from error

    async def _journal(self, rows: list[Row], session: Session) -> None:
        try:
            async with translated():
                await self._database[OUTBOX].insert_many(rows, ordered=False, session=session)
        except KeyTakenError as error:
            # Its marks were new, so this is no race: another cause of the same id was there before.
            raise RefusedError("an event of the same id was told before") from error

    @staticmethod
    def _raised(plan: Plan[S], id_: str) -> S:
        return plan.states[id_].model_copy(update={"version": plan.loaded.get(id_, 0) + 1})


def _out_of_nothing(cause: Cause) -> Cause:
    """The cause of an event apart that a case led to: whoever reads it shall not find the case by its threads."""
    id_ = derived_id(cause.id, "apart")
    return Cause(id_, id_, new_traceparent())


def _fault_of_one(error: Exception) -> RefusedError:
    """A repository that fails by itself cannot read or write one of its documents: the others are to go on."""
    log.exception("repository_failed", error=type(error).__name__)
    return RefusedError(f"{type(error).__name__} in the repository")


def _count(plan: Plan[Any]) -> None:
    """What was stored; what an attempt decided that lost a race, or a repetition of it, never happened."""
    for document in plan.aside.values():
        if document["state"] == OPEN:
            DEAD_LETTERS.labels(document["reason"]).inc()
    for type_, number in Counter(row["type"] for row in plan.rows).items():
        EVENTS_TOLD.labels(type_).inc(number)


def _by_collection(marks: Mapping[_Key, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (collection, _), document in marks.items():
        grouped[collection].append(document)
    return grouped


async def _create(database: Database) -> None:
    await ensure_collection(database, INBOX)
    await database[INBOX].create_index([("at", ASCENDING)], expireAfterSeconds=INBOX_DAYS * 24 * 60 * 60)


MIGRATIONS: Final = (Migration("pipeline-inbox", _create),)
