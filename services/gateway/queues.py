"""Reading a partner's queue in its place: without a consumer group, from positions that somebody else keeps."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, TopicAuthorizationFailedError
from aiokafka.structs import ConsumerRecord, TopicPartition

from services.gateway.domain.cursors import Positions
from services.gateway.domain.events import QueueEvent, event_of
from services.gateway.partners import Partner
from services.gateway.repository import Knowledge
from shared.topics import partner_topics

log = structlog.get_logger()

Take = Callable[[str, Sequence[QueueEvent]], Awaitable[None]]
"""Takes events of a partner's queue, in its order; they come again where it or what follows it fails."""

AT_ONCE: Final = 500
PAUSE_SECONDS: Final = 2.0
MOST_READERS: Final = 4
"""Of one partner at the same time."""
KEPT_SECONDS: Final = 60.0
"""So long a reader waits for its partner to come again."""
_LOOK_SECONDS: Final = 1.0
_EMPTY_MS: Final = 1000


class ExpiredError(Exception):
    """The queue does not go back so far any more, or is another one."""


class BusyError(Exception):
    """The partner reads in too many places at once."""


class QueueReader:
    """A connection that reads one partner's queue from any position."""

    def __init__(self, partner: Partner) -> None:
        queue, _ = partner_topics(partner.id)
        self._topic = queue.name
        self._consumer = AIOKafkaConsumer(
            **partner.access.options,
            client_id=f"integrationsbuero-gateway-{partner.id}",
            auto_offset_reset="none",
            enable_auto_commit=False,
            isolation_level="read_committed",
            fetch_max_wait_ms=_EMPTY_MS,
        )
        self._at: dict[TopicPartition, int] = {}
        self._ends: Mapping[TopicPartition, int] = {}
        self.used_at = time.monotonic()

    async def start(self) -> None:
        """Connect; raises `KafkaError`."""
        try:
            await self._consumer.start()
            known = await self._consumer._client.fetch_all_metadata()  # what it tells of topics has no partitions
            numbers = known.partitions_for_topic(self._topic)
            if not numbers:
                raise TopicAuthorizationFailedError(
                    self._topic
                )  # whoever may not read it does not learn that it is there
            self._consumer.assign([TopicPartition(self._topic, number) for number in numbers])
        except KafkaError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def seek(self, wanted: Positions) -> None:
        """Go on from these positions, from the oldest record where one is not named; raises `KafkaError`."""
        partitions = self._consumer.assignment()
        unnamed = [partition for partition in partitions if partition.partition not in wanted]
        oldest = await self._consumer.beginning_offsets(unnamed) if unnamed else {}
        for partition in partitions:
            offset = oldest[partition] if partition in oldest else wanted[partition.partition]
            if self._at.get(partition) != offset:
                self._consumer.seek(partition, offset)
                self._at[partition] = offset
        self._ends = await self._consumer.end_offsets(partitions)

    async def ends(self) -> Positions:
        """Behind the newest record of each partition; raises `KafkaError`."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        return {partition.partition: offset for partition, offset in ends.items()}

    async def read(self, *, seconds: float, at_most: int) -> list[QueueEvent]:
        """What comes next, at most for so long; raises `ExpiredError` and `KafkaError`."""
        try:
            found: Mapping[TopicPartition, list[ConsumerRecord]] = await self._consumer.getmany(
                timeout_ms=int(seconds * 1000), max_records=at_most
            )
        except OffsetOutOfRangeError:
            self._at = {}
            raise ExpiredError from None
        events = []
        for partition, records in found.items():
            self._at[partition] = records[-1].offset + 1
            for record in records:
                if event := event_of(record.partition, record.offset, record.headers, record.value):
                    events.append(event)
                else:
                    log.error("not_an_event", topic=record.topic, partition=record.partition, offset=record.offset)
        return events

    @property
    def is_behind(self) -> bool:
        """Whether there was more when it was told where to go on: that nothing has come says nothing then."""
        return any(self._at[partition] < end for partition, end in self._ends.items())

    @property
    def positions(self) -> Positions:
        """What is read next, by partition."""
        return {partition.partition: offset for partition, offset in self._at.items()}


class Readers:
    """The connections of the feed: a few for each partner, kept for a while."""

    def __init__(self) -> None:
        self._idle: dict[Partner, list[QueueReader]] = {}
        self._busy: dict[Partner, int] = {}

    @asynccontextmanager
    async def reading(self, partner: Partner) -> AsyncIterator[QueueReader]:
        """A reader for one request; raises `BusyError` and `KafkaError`."""
        if self._busy.get(partner, 0) >= MOST_READERS:
            raise BusyError
        self._busy[partner] = self._busy.get(partner, 0) + 1
        reader = None
        try:
            idle = self._idle.get(partner)
            if idle:
                reader = idle.pop()
            else:
                reader = QueueReader(partner)
                await reader.start()
            yield reader
        except BaseException:
            if reader is not None:
                await reader.stop()
            raise
        else:
            reader.used_at = time.monotonic()
            self._idle.setdefault(partner, []).append(reader)
        finally:
            self._busy[partner] -= 1

    async def tidy(self, partner: Partner, *, all_: bool = False) -> None:
        """Close those that nobody came back to."""
        now = time.monotonic()
        idle = self._idle.pop(partner, [])
        if fresh := [reader for reader in idle if not all_ and now - reader.used_at < KEPT_SECONDS]:
            self._idle[partner] = fresh
        for reader in idle:
            if reader not in fresh:
                await reader.stop()


@dataclass(slots=True)
class Follower:
    """Notes what a partner's queue tells, as long as the partner is let in."""

    knowledge: Knowledge
    takers: Sequence[Take]

    async def follow(self, partner: Partner) -> None:
        """Go on from where the store says; what fails is said once and begun again."""
        told = None
        while True:
            try:
                await self._follow(partner)
            except ExpiredError:
                log.warning("queue_expired", partner=partner.id)
                await self.knowledge.forget_positions(partner.id)
            except Exception as error:
                if type(error) is not told:
                    log.warning("queue_not_followed", partner=partner.id, exc_info=True)
                told = type(error)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _follow(self, partner: Partner) -> None:
        reader = QueueReader(partner)
        await reader.start()
        try:
            await reader.seek(await self.knowledge.positions(partner.id))
            while True:
                events = await reader.read(seconds=_LOOK_SECONDS, at_most=AT_ONCE)
                if events:
                    for take in (self.knowledge.take, *self.takers):
                        await take(partner.id, events)
                    await self.knowledge.keep_positions(partner.id, reader.positions)
        finally:
            await reader.stop()
