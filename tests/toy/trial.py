"""One trial of the toy service: its own topics and database, hands to write its input and eyes to read its output."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition
from pymongo.read_concern import ReadConcern

from shared import mongo
from shared.kafka_access import KafkaAccess
from shared.migrations import migrate
from shared.mongo import Database
from shared.pipeline import engine, outbox, set_aside
from shared.pipeline.decisions import Command
from shared.pipeline.engine import INBOX, Engine
from shared.pipeline.outbox import OUTBOX, Publisher
from shared.pipeline.pipeline import Pipeline
from shared.pipeline.reading import Reader
from shared.pipeline.set_aside import SET_ASIDE
from shared.topics import Topic, provision
from toy.records import Written, a_record, kwargs_of
from toy.service import CASES, Names, Tallies, Tally, pipeline, reactions, subscription

PARTITIONS: Final = 2
MIGRATIONS: Final = (*engine.MIGRATIONS, *outbox.MIGRATIONS, *set_aside.MIGRATIONS)


async def eventually(
    condition: Callable[[], Awaitable[Any]], *, what: str = "the condition", seconds: float = 20, every: float = 0.05
) -> Any:
    """The first true answer of `condition`; fails after `seconds`."""
    give_up = time.monotonic() + seconds
    while not (answer := await condition()):
        assert time.monotonic() < give_up, f"{what} was not reached in {seconds} seconds, last: {answer!r}"
        await asyncio.sleep(every)
    return answer


class Trial:
    """Everything one test needs; made by `a_trial`."""

    def __init__(self, kafka: KafkaAccess, mongo_url: str) -> None:
        self.names = Names(f"toy-{uuid4().hex[:8]}")
        self.kafka = kafka
        self.mongo_url = mongo_url
        self.client = mongo.connect(mongo_url)
        self.database: Database = self.client[self.names.service]
        self.states = Tallies(self.database)
        self._offset = 0
        self._producer: AIOKafkaProducer | None = None

    # what is tried

    def engine(self) -> Engine[Tally]:
        """An engine of its own on the trial's states, as another instance would have."""
        return Engine(self.database, Tallies(self.database))

    def publisher(self) -> Publisher:
        """A publisher of its own on the trial's outbox."""
        return Publisher(self.database, self.kafka, self.names.service)

    def pipeline(self, **options: Any) -> Pipeline[Tally]:
        """A whole instance of the toy."""
        return pipeline(self.names, self.database, self.kafka, self.mongo_url, **options)

    def reader(self) -> Reader[Tally]:
        """What makes commands of records."""
        return Reader(self.names.service, reactions(self.names), subscription(self.names))

    def command(self, written: Written) -> Command[Tally]:
        """The command for an event, at the next offset of the incoming topic."""
        command = self.reader().command(self.record(written))
        assert command is not None, "the toy reacts to it"
        return command

    def record(self, written: Written) -> ConsumerRecord:
        """The record that a consumer would get, at the next offset."""
        self._offset += 1
        return a_record(written, topic=self.names.incoming, offset=self._offset)

    # the bus

    async def write(self, *events: Written, topic: str | None = None) -> None:
        """Put events on the incoming topic; returns when the broker has them all."""
        if self._producer is None:
            self._producer = AIOKafkaProducer(**self.kafka.options, acks="all", linger_ms=2)
            await self._producer.start()
        target = topic or self.names.incoming
        await asyncio.gather(*[await self._producer.send(target, **kwargs_of(event)) for event in events])

    async def records_of(self, topic: str) -> list[ConsumerRecord]:
        """Everything on a topic, each partition in order."""
        async with AIOKafkaConsumer(**self.kafka.options, auto_offset_reset="earliest") as consumer:
            width = 1 if topic == self.names.dead_letters else PARTITIONS
            partitions = [TopicPartition(topic, number) for number in range(width)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            found: list[ConsumerRecord] = []
            while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
            return found

    async def committed(self) -> dict[int, int]:
        """The group's committed offsets on the incoming topic, by partition."""
        admin = AIOKafkaAdminClient(**self.kafka.options)
        await admin.start()
        try:
            offsets: dict[TopicPartition, OffsetAndMetadata] = await admin.list_consumer_group_offsets(
                self.names.service
            )
        finally:
            await admin.close()
        return {place.partition: found.offset for place, found in offsets.items() if place.topic == self.names.incoming}

    async def members(self) -> int:
        """How many instances the broker counts in the group; one that did not say good-bye counts for a while."""
        admin = AIOKafkaAdminClient(**self.kafka.options)
        await admin.start()
        try:
            [answer] = await admin.describe_consumer_groups([self.names.service])
        finally:
            await admin.close()
        [(_, _, _, _, _, members, *_)] = answer.groups
        return len(members)

    # the store

    async def tally(self, case_id: str) -> Tally | None:
        """What is stored of a case."""
        return (await self.states.load({case_id})).get(case_id)

    async def tallies(self) -> dict[str, Tally]:
        """All that is stored."""
        return {row["_id"]: self.states.decoded(row) async for row in self.database[CASES].find()}

    async def rows(self, **query: Any) -> list[dict[str, Any]]:
        """The outbox, by stream and number."""
        local = self.database[OUTBOX].with_options(read_concern=ReadConcern("local"))
        found = local.find(query).sort([("stream", 1), ("sequence", 1), ("topic", 1)])
        return [row async for row in found]

    async def unsent(self) -> int:
        """How many rows wait to be acknowledged, as the server itself knows it at this moment."""
        local = self.database[OUTBOX].with_options(read_concern=ReadConcern("local"))
        return int(await local.count_documents({"unsent": True}))

    async def inbox(self) -> int:
        """How many marks there are."""
        return int(await self.database[INBOX].count_documents({}))

    async def aside(self, **query: Any) -> list[dict[str, Any]]:
        """The records set aside, in the order of their offsets."""
        return [row async for row in self.database[SET_ASIDE].find(query).sort("offset", 1)]

    async def effects(self) -> int:
        """How many effects there are in all cases."""
        return sum(len(tally.effects) for tally in (await self.tallies()).values())

    async def close(self) -> None:
        """Take away what the trial made."""
        with suppress(KafkaError):
            if self._producer is not None:
                await self._producer.stop()
            await delete_topics(self.kafka, self.names)
        await self.client.drop_database(self.names.service)
        self.client.close()


@asynccontextmanager
async def a_trial(kafka: KafkaAccess, mongo_url: str, *, topics: bool = True) -> AsyncIterator[Trial]:
    """A trial with its collections, and with its topics where asked for; all gone afterwards."""
    trial = Trial(kafka, mongo_url)
    try:
        await migrate(trial.database, MIGRATIONS)
        if topics:
            names = trial.names
            wide = (names.incoming, names.second_incoming, names.outgoing, names.second_outgoing)
            await provision(
                kafka, [*(Topic(name, PARTITIONS) for name in wide), Topic(names.dead_letters, partitions=1)]
            )
        yield trial
    finally:
        await trial.close()


@asynccontextmanager
async def running(*pipelines: Pipeline[Any]) -> AsyncIterator[None]:
    """Instances that run meanwhile."""
    await asyncio.gather(*(one.start() for one in pipelines))
    try:
        yield
    finally:
        await asyncio.gather(*(one.stop() for one in pipelines))


async def delete_topics(kafka: KafkaAccess, names: Names, only: Collection[str] | None = None) -> None:
    """Remove the trial's topics, or some of them; those that were never there are passed over."""
    admin = AIOKafkaAdminClient(**kafka.options)
    await admin.start()
    try:
        ours = only or {
            names.incoming,
            names.second_incoming,
            names.outgoing,
            names.second_outgoing,
            names.dead_letters,
        }
        await admin.delete_topics(sorted(set(ours) & set(await admin.list_topics())))
    finally:
        await admin.close()


def ids_of(records: Iterable[ConsumerRecord]) -> list[str]:
    """The `ce_id`s, in order."""
    return [dict(record.headers)["ce_id"].decode() for record in records]
