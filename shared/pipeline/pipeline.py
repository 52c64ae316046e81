"""One service's pipeline: the engine, the publisher, the HTTP door and the consumers, started and stopped in order."""

import asyncio
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Generic

import structlog
from aiokafka.structs import ConsumerRecord

from shared.contracts import Event
from shared.metrics import DUPLICATES
from shared.migrations import Migration, migrate
from shared.mongo import Database, UnavailableError, longest_transaction
from shared.pace import Pace
from shared.pipeline import engine, outbox, set_aside, wire
from shared.pipeline.consumer import Consumption
from shared.pipeline.decisions import Command, Failed, Outcome, Reaction, Repeated, S, States
from shared.pipeline.door import Door
from shared.pipeline.engine import Engine
from shared.pipeline.outbox import Publisher
from shared.pipeline.reading import Reader, Subscription
from shared.pipeline.rewinding import LooseEnds, Repetition, Rewinding, is_unfinished
from shared.pipeline.set_aside import DISCARDED, REPLAYED, SetAside, record_of
from shared.settings import ServiceSettings

log = structlog.get_logger()

TAKE_OVER_SECONDS = 10
"""Longer transactions of a killed process keep its successor waiting (see DESIGN section 4)."""


class Pipeline(Generic[S]):
    """What a service runs on. `handle` is the one way anything takes effect and is published."""

    def __init__(
        self,
        service: str,
        settings: ServiceSettings,
        database: Database,
        states: States[S],
        reactions: Sequence[Reaction[Any, S]],
        subscriptions: Sequence[Subscription],
        migrations: Sequence[Migration],
        adoptions: Sequence[Reaction[Any, S]] = (),
        repetitions: Mapping[type[Event], Repetition[S]] | None = None,
        loose_ends: LooseEnds[S] | None = None,
    ) -> None:
        wire.install()
        self.service = service
        self.subscriptions = subscriptions
        self.batch_records = settings.batch_records
        self._database = database
        self._states = states
        self._adoptions = adoptions
        self._repetitions = repetitions or {}
        self._loose_ends = loose_ends
        self._migrations = (*engine.MIGRATIONS, *outbox.MIGRATIONS, *set_aside.MIGRATIONS, *migrations)
        self.after_batch: list[Callable[[], None]] = []
        self._engine = Engine(database, states)
        self.publisher = Publisher(database, settings, service)
        self.door: Door[S] = Door(self._engine, self.publisher)
        self.set_aside = SetAside(database)
        self._readers = [(sub, Reader(service, reactions, sub)) for sub in subscriptions]
        self._consumptions = [
            Consumption(
                settings,
                subscription.pattern,
                subscription.group,
                self._handling(reader),
                self.publisher.publish,
                batch_records=settings.batch_records,
                pace=Pace(settings.partner_records_per_second),
            )
            for subscription, reader in self._readers
        ]

    async def start(self) -> None:
        """Prepare the store, then publish, then consume."""
        await migrate(self._database, self._migrations)
        limit = await longest_transaction(self._database)
        if limit is not None and limit > TAKE_OVER_SECONDS:
            log.warning("slow_take_over", transaction_lifetime_limit_seconds=limit, advised=TAKE_OVER_SECONDS)
        if await is_unfinished(self._database):
            log.warning("rewind_unfinished", advised="stop this service and type the same `wegweiser rewind` again")
        self.door.start()  # requests need the store only; what they cause waits in the outbox
        await self.publisher.start()
        await asyncio.gather(*(consumption.start() for consumption in self._consumptions))

    async def stop(self) -> None:
        """Finish the batches, commit them, leave the groups; then the requests; then what is to be published."""
        await asyncio.gather(*(consumption.stop() for consumption in self._consumptions))
        await self.door.stop()
        await self.publisher.stop()

    async def rewinding(self) -> Rewinding[S]:
        """What reads again in the place of this pipeline, which is not started meanwhile."""
        await migrate(self._database, self._migrations)
        return Rewinding(
            self.service,
            self._database,
            self._states,
            dict(self._readers),
            self._adoptions,
            self._repetitions,
            self._loose_ends,
        )

    async def handle(self, commands: Sequence[Command[S]]) -> list[Outcome[S]]:
        """Let the commands take effect and publish what follows; raises `UnavailableError`."""
        outcomes, streams = await self._engine.run(commands)
        await self.publisher.publish(streams)
        return outcomes

    async def replay(self, document: dict[str, Any]) -> int:
        """Read a record that was set aside again, then what is parked behind it; returns how many took effect."""
        if not await self._replay_one(document):
            return 0
        return 1 + await self._replay_behind(document)

    async def discard(self, document: dict[str, Any]) -> int:
        """Give a record up and read again what is parked behind it; returns how many took effect."""
        await self.set_aside.settle(document["_id"], DISCARDED)
        return await self._replay_behind(document)

    async def _replay_behind(self, document: dict[str, Any]) -> int:
        """One by one in the order of arrival, until nothing is left; what is parked may itself hold up others."""
        subjects, done = set(document["subjects"]), 0
        while (parked := await self.set_aside.next_parked(subjects)) is not None:
            if await self._replay_one(parked):
                subjects.update(parked["subjects"])
                done += 1
            else:
                await self.set_aside.fail(parked)
        return done

    async def _replay_one(self, document: dict[str, Any]) -> bool:
        record = record_of(document)
        for reader in self._readers_of(record.topic):
            command = reader.replayed(document, record)
            if command is None:
                continue
            [outcome] = await self.handle([command])
            if isinstance(outcome, Repeated):  # the event came once more meanwhile and was readable
                await self.set_aside.settle(document["_id"], REPLAYED)
            if isinstance(outcome, Failed) and isinstance(outcome.error, UnavailableError):
                raise outcome.error  # it may go well another time
            return not isinstance(outcome, Failed)
        return False

    def _readers_of(self, topic: str) -> list[Reader[S]]:
        return [reader for subscription, reader in self._readers if re.match(subscription.pattern, topic)]

    def _handling(self, reader: Reader[S]) -> Any:
        async def handle(records: Sequence[ConsumerRecord]) -> Collection[str]:
            commands = [command for record in records if (command := reader.command(record)) is not None]
            if not commands:
                return ()
            outcomes, streams = await self._engine.run(commands)
            for outcome in outcomes:
                if isinstance(outcome, Repeated):
                    DUPLICATES.inc()
                elif isinstance(outcome, Failed):
                    raise UnavailableError("a record could not even be set aside")
            for tell in self.after_batch:
                tell()
            return streams

        return handle

    def readiness(self) -> dict[str, bool]:
        """Each consumer group, and whether it was joined, polls and is answered."""
        return {
            sub.group: consumption.is_ready
            for (sub, _), consumption in zip(self._readers, self._consumptions, strict=True)
        }

    def lag(self) -> dict[str, int]:
        """Records not yet handled, a topic."""
        lag: dict[str, int] = {}
        for consumption in self._consumptions:
            for topic, records in consumption.lag().items():
                lag[topic] = lag.get(topic, 0) + records
        return lag
