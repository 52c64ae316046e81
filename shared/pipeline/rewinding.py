"""Reading again, while a service is stopped, what an older database of it does not hold (docs/adr/0008).

First what the service told is taken over from the bus: it stands, whatever would be decided now. Then what it read is
decided again, each record as of the moment it was decided first. What was told before is not told again.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from typing import Any, Final, Generic

from aiokafka.structs import ConsumerRecord
from pymongo import ASCENDING

from shared.contracts import BY_EVENT, CONTRACTS, Event
from shared.envelope import Cause, source_of
from shared.mongo import Database, Session, UnavailableError, translated
from shared.pipeline.decisions import Command, Decision, Done, Failed, Mark, Reaction, Repeated, S, States
from shared.pipeline.engine import Engine, Plan, utc_now
from shared.pipeline.outbox import OUTBOX, Row, journal_entry, row_told
from shared.pipeline.reading import Reader, Subscription
from shared.pipeline.set_aside import record_id
from shared.topics import is_from_outside

LooseEnds = Callable[[Any], AsyncIterator[Command[S]]]
"""Given a service's repository, ends what was under way and may have happened without being told."""

Repetition = Callable[[str, S | None, datetime], Decision[S]]
"""What a service decided without having read anything, decided again: given its cause, the state and the moment."""

_TAKEN_OVER: Final = "at"
"""What the engine notes on every mark. An adopted row carries it until a record leads to it again, or to the end."""
_UNTIL_THE_END: Final = "taken_over"
"""The index of these rows, which stands from the first change a rewind makes until it is finished."""
_RECORD_BYTES: Final = 500
_ABOUT_CASES: Final = [contract.type for contract in CONTRACTS if "case_id" in contract.event.model_fields]


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """One record as a command. `at` is its place in the order of all partitions: when it was first decided, and which
    number it led to; `told` says that something is known to have followed from it. `size` in bytes, about."""

    at: tuple[datetime, int]
    command: Command[S]
    offset: int
    size: int
    told: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """What a rewind cannot mend: the events that no record led to again, as the journal shows them, case by case in
    order, and the cases among them that the database does not know."""

    told: Sequence[Mapping[str, Any]]
    lost: Collection[str]


class _Retelling(Engine[S]):
    """What was told before keeps its words and its number, and is not told again.

    `noted` says that the database was found older than the bus, and that the database says so itself.
    """

    noted = False

    async def _store(self, plan: Plan[S]) -> None:
        if not (plan.is_empty or self.noted):
            await self._note()
        await super()._store(plan)

    async def _note(self) -> None:
        async with translated():
            await self._database[OUTBOX].create_index(
                [("causation_id", ASCENDING)],
                name=_UNTIL_THE_END,
                partialFilterExpression={_TAKEN_OVER: {"$exists": True}},
            )
        self.noted = True

    async def _journal(self, rows: list[Row], session: Session) -> None:
        outbox, ids = self._database[OUTBOX], [row["_id"] for row in rows]
        told = {row["_id"] async for row in outbox.find({"_id": {"$in": ids}}, {"_id": 1}, session=session)}
        await outbox.update_many({"_id": {"$in": list(told)}}, {"$unset": {_TAKEN_OVER: ""}}, session=session)
        if new := [row for row in rows if row["_id"] not in told]:
            await super()._journal(new, session)


async def is_unfinished(database: Database) -> bool:
    """Whether a rewind of this database changed something and did not come to its end."""
    async with translated():
        return _UNTIL_THE_END in await database[OUTBOX].index_information()


class Rewinding(Generic[S]):
    """Brings one service's database up to what the bus tells. Every step may be repeated, also after a crash."""

    def __init__(
        self,
        service: str,
        database: Database,
        states: States[S],
        readers: Mapping[Subscription, Reader[S]],
        adoptions: Sequence[Reaction[Any, S]],
        repetitions: Mapping[type[Event], Repetition[S]],
        loose_ends: LooseEnds[S] | None,
    ) -> None:
        self._source = source_of(service)
        self._database = database
        self._outbox = database[OUTBOX]
        self._states = states
        self._engine = _Retelling(database, states)
        self._readers = readers
        self._adopter: Reader[S] = Reader("", adoptions, Subscription("", ""))  # takes nothing for its own
        self._adopted = [BY_EVENT[adoption.event].type for adoption in adoptions]
        self._repetitions = {BY_EVENT[event].type: repetition for event, repetition in repetitions.items()}
        self._loose_ends = loose_ends

    async def begin(self) -> None:
        """Find out whether an earlier rewind did not come to its end; then this one goes on with it."""
        self._engine.noted = await is_unfinished(self._database)

    async def told(self, records: Sequence[ConsumerRecord], _latest: datetime) -> list[Step[S]]:
        """What the service wrote itself among these records, as commands that take it over.

        Each puts the event into the journal as a row that is sent, lets the case count on from its number, and does
        what the service declared in its adoptions.
        """
        rows = [(record, row) for record in records if (row := row_told(record, self._source))]
        return [
            Step((row["time"], row["sequence"]), self._adopting(record, row), record.offset, _size(record), told=True)
            for record, row in rows
        ]

    def _adopting(self, record: ConsumerRecord, row: Row) -> Command[S]:
        adoption = self._adopter.command(record)

        def decide(state: S | None, now: datetime) -> Decision[S]:
            decision: Decision[S] = adoption.decide(state, now) if adoption else Decision()
            after = decision.state or state
            return Decision(_counting_on(after, row["sequence"]) if after is not None else None)

        cause = Cause(row["causation_id"], row["correlation_id"], row["traceparent"])
        fields = {name: value for name, value in row.items() if name != "_id"}
        return Command(row["stream"], cause, decide, marks=(Mark(OUTBOX, row["_id"], fields),))

    @property
    def repeats(self) -> bool:
        """Whether the service declared repetitions."""
        return bool(self._repetitions)

    async def repeated(self, records: Sequence[ConsumerRecord], _latest: datetime) -> list[Step[S]]:
        """What the service declared in its repetitions among these records of its own, to be decided as of then."""
        rows = [(record, row) for record in records if (row := row_told(record, self._source))]
        rows = [(record, row) for record, row in rows if row["type"] in self._repetitions]
        missing = await self._places([row["causation_id"] for _, row in rows])
        return [
            Step((row["time"], row["sequence"]), self._repeating(row), record.offset, _size(record), told=True)
            for record, row in rows
            if row["causation_id"] in missing
        ]

    def _repeating(self, row: Row) -> Command[S]:
        repetition, cause_id, moment = self._repetitions[row["type"]], row["causation_id"], row["time"]
        cause = Cause(cause_id, row["correlation_id"], row["traceparent"])
        return Command(row["stream"], cause, lambda state, _now: repetition(cause_id, state, moment))

    async def read(
        self, subscription: Subscription, records: Sequence[ConsumerRecord], latest: datetime
    ) -> list[Step[S]]:
        """What the service reads among these records of one partition, to be decided as of when it was first.

        `latest` is the moment of the step before them.
        """
        reader = self._readers[subscription]
        commands = [(record, command) for record in records if (command := reader.command(record)) is not None]
        aside = {record.offset: record_id(record.topic, record.partition, record.offset) for record, _ in commands}
        places = await self._places([*aside.values(), *(command.cause.id for _, command in commands)])
        followed = await self._told_before(records)
        steps: list[Step[S]] = []
        for record, command in commands:
            led_to, set_aside = places.get(command.cause.id), places.get(aside[record.offset])
            earliest = max((latest, 0), followed.get(record.offset, (latest, 0)))
            steps.append(_step(record, command, led_to, set_aside, earliest))
            latest = steps[-1].at[0]
        return steps

    async def _places(self, causes: Sequence[str]) -> dict[str, tuple[datetime, int]]:
        """When something was first told because of each of these, and under which number."""
        if not self._engine.noted:
            return {}
        query = {"causation_id": {"$in": causes}, _TAKEN_OVER: {"$exists": True}}
        places: dict[str, tuple[datetime, int]] = {}
        async with translated():
            async for row in self._outbox.find(query, {"causation_id": 1, "time": 1, "sequence": 1}):
                place = (row["time"], row["sequence"])
                places[row["causation_id"]] = min(place, places.get(row["causation_id"], place))
        return places

    async def _told_before(self, records: Sequence[ConsumerRecord]) -> dict[int, tuple[datetime, int]]:
        """By offset, the place just behind the event of ours that a record of another service follows from: it was
        decided after that, whatever the broker's clock says."""
        causes = {
            record.offset: cause.decode(errors="replace")
            for record in records
            if not is_from_outside(record.topic) and (cause := dict(record.headers).get("ce_causationid"))
        }
        query = {"_id": {"$in": list(set(causes.values()))}}
        async with translated():
            rows = self._outbox.find(query, {"time": 1, "sequence": 1})
            told = {row["_id"]: (row["time"], row["sequence"] + 1) async for row in rows}
        return {offset: told[cause] for offset, cause in causes.items() if cause in told}

    async def run(self, steps: Sequence[Step[S]]) -> int:
        """Let a batch take effect, in this order; returns how many did. Raises `UnavailableError`."""
        numbers = await self._numbers({step.command.key for step in steps})
        return await self._run([_numbered(step.command, numbers) for step in steps])

    async def _run(self, commands: Sequence[Command[S]]) -> int:
        outcomes, _ = await self._engine.run(commands)
        if any(isinstance(outcome, Failed) for outcome in outcomes):
            raise UnavailableError("a record could not even be set aside")
        await self._mark_sent([outcome.mark for outcome in outcomes if isinstance(outcome, Repeated)])
        return sum(isinstance(outcome, Done) for outcome in outcomes)

    async def _mark_sent(self, marks: Sequence[Mapping[str, Any]]) -> None:
        """What the journal knows and the bus has was sent, also where the backup came before the note of it."""
        if unsent := [mark["_id"] for mark in marks if "unsent" in mark]:
            async with translated():
                await self._outbox.update_many(
                    {"_id": {"$in": unsent}}, {"$unset": {"unsent": ""}, "$set": {"sent_at": utc_now()}}
                )

    async def _numbers(self, streams: set[str | None]) -> dict[str, int]:
        """The last number each of these gave to an event."""
        highest = {"$group": {"_id": "$stream", "last": {"$max": "$sequence"}}}
        async with translated():
            found = self._outbox.aggregate([{"$match": {"stream": {"$in": list(streams)}}}, highest])
            return {row["_id"]: row["last"] async for row in found}

    async def tie_loose_ends(self, at_once: int) -> int:
        """End what was under way where the database was older; returns how many it were."""
        if self._loose_ends is None or not self._engine.noted:
            return 0
        commands = [command async for command in self._loose_ends(self._states)]
        ends = iter(commands)
        while batch := list(islice(ends, at_once)):
            await self._run(batch)
        return len(commands)

    async def finish(self) -> Difference:
        """Say what no record led to again, and take the notes of the rewind away."""
        if not self._engine.noted:
            return Difference([], set())
        left = {_TAKEN_OVER: {"$exists": True}, "type": {"$nin": self._adopted}}
        async with translated():
            told = [journal_entry(row) async for row in self._outbox.find(left, hint=_UNTIL_THE_END)]
            cases = {row["stream"] for row in told if row["type"] in _ABOUT_CASES}
            lost = {case_id for case_id in cases if not await self._states.load({case_id})}
            await self._outbox.update_many(
                {_TAKEN_OVER: {"$exists": True}}, {"$unset": {_TAKEN_OVER: ""}}, hint=_UNTIL_THE_END
            )
            await self._outbox.drop_index(_UNTIL_THE_END)
        return Difference(sorted(told, key=itemgetter("stream", "time", "sequence")), lost)


def _step(
    record: ConsumerRecord,
    command: Command[S],
    led_to: tuple[datetime, int] | None,
    aside: tuple[datetime, int] | None,
    earliest: tuple[datetime, int],
) -> Step[S]:
    """A record nothing is known to have followed from comes where it was written, but behind those before it and
    behind what it follows from.

    One that was set aside and replayed later comes where it was set aside, or it would hold up its partition.
    """
    written = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    told = [place for place in (led_to, aside) if place]
    at = min(told, default=max((written, 0), earliest))
    moment = led_to[0] if led_to else at[0]
    again = replace(command, decide=lambda state, _now: command.decide(state, moment))
    return Step(at, again, record.offset, _size(record), told=bool(told))


def _counting_on(state: S, number: int) -> S:
    """The state, which numbers its next event higher."""
    return state if state.sequence >= number else state.model_copy(update={"sequence": number})


def _numbered(command: Command[S], numbers: Mapping[str, int]) -> Command[S]:
    """The same, but a case it begins anew counts on from what was told of it."""

    def decide(state: S | None, now: datetime) -> Decision[S]:
        decision = command.decide(state, now)
        if decision.state is None:
            return decision
        return replace(decision, state=_counting_on(decision.state, numbers.get(decision.state.id, 0)))

    return replace(command, decide=decide)


def _size(record: ConsumerRecord) -> int:
    return len(record.value or b"") + _RECORD_BYTES
