"""Reading a partner's queue in its place: without a consumer group, from positions that somebody else keeps."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka.errors import OffsetOutOfRangeError, TopicAuthorizationFailedError
from aiokafka.structs import ConsumerRecord, TopicPartition

from services.gateway.domain.cursors import Positions
from services.gateway.domain.events import QueueEvent, event_of
from services.gateway.partners import LOOK_SECONDS, BusyError, Partner
from services.gateway.repository import Knowledge
from shared.kafka_consumer import Consumer
from shared.topics import partner_topics, sandbox_topics

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
_PATIENCE_MS: Final = 10_000
METADATA_MS: Final = 10_000
"""How often it is asked whether the queue has more partitions."""


class ExpiredError(Exception):
    """The queue does not go back so far any more, or is another one; carries the partitions where that is so."""

    def __init__(self, partitions: frozenset[int]) -> None:
        super().__init__(partitions)
        self.partitions = partitions


class QueueReader:
    """A connection that reads one partner's queue from any position."""

    def __init__(self, partner: Partner, *, sandbox: bool = False) -> None:
        queue, _ = (sandbox_topics if sandbox else partner_topics)(partner.id)
        self.sandbox = sandbox
        self._topic = queue.name
        self._consumer = Consumer(
            **partner.access.options,
            client_id=f"integrationsbuero-gateway-{partner.id}",
            auto_offset_reset="none",
            enable_auto_commit=False,
            isolation_level="read_committed",
            fetch_max_wait_ms=_EMPTY_MS,
            request_timeout_ms=_PATIENCE_MS,
            metadata_max_age_ms=METADATA_MS,
        )
        self._at: dict[TopicPartition, int] = {}
        self._ends: Mapping[TopicPartition, int] = {}
        self.used_at = time.monotonic()

    async def start(self) -> None:
        """Connect; raises `KafkaError`."""
        try:
            await self._consumer.start()
            await self._take_all_partitions()
        except BaseException:
            await self.stop()
            raise

    async def _take_all_partitions(self) -> None:
        known = await self._consumer._client.fetch_all_metadata()  # what it tells of topics has no partitions
        numbers = known.partitions_for_topic(self._topic)
        if not numbers:  # whoever may not read it does not learn that it is there
            raise TopicAuthorizationFailedError(self._topic)
        self._consumer.assign([TopicPartition(self._topic, number) for number in numbers])

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
        except OffsetOutOfRangeError as error:
            [expired] = error.args
            for partition in expired:
                self._at.pop(partition, None)
            raise ExpiredError(frozenset(partition.partition for partition in expired)) from None
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
    def is_outgrown(self) -> bool:
        """Whether the queue has more partitions by now than it reads."""
        known = self._consumer.partitions_for_topic(self._topic) or ()
        return len(known) > len(self._consumer.assignment())

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
        self._busy: Counter[Partner] = Counter()

    @asynccontextmanager
    async def reading(self, partner: Partner, *, sandbox: bool = False) -> AsyncIterator[QueueReader]:
        """A reader for one request; raises `BusyError` and `KafkaError`."""
        if self._busy[partner] >= MOST_READERS:
            raise BusyError
        self._busy[partner] += 1
        try:
            idle = self._idle.get(partner, [])
            reader = next((one for one in idle if one.sandbox == sandbox), None)
            if reader is not None:
                idle.remove(reader)
            else:
                reader = QueueReader(partner, sandbox=sandbox)
                await reader.start()
            try:
                yield reader
            except ExpiredError:
                await self._keep(partner, reader)
                raise
            except BaseException:
                await reader.stop()
                raise
            await self._keep(partner, reader)
        finally:
            self._busy[partner] -= 1
            if not self._busy[partner]:
                del self._busy[partner]

    async def _keep(self, partner: Partner, reader: QueueReader) -> None:
        if partner in self._idle and not reader.is_outgrown:
            reader.used_at = time.monotonic()
            self._idle[partner].append(reader)
        else:
            await reader.stop()

    async def keep_tidy(self, partner: Partner) -> None:
        """Keep readers for this partner until cancelled, and close those that nobody came back to."""
        self._idle[partner] = []
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                since, idle = time.monotonic() - KEPT_SECONDS, self._idle[partner]
                self._idle[partner] = [reader for reader in idle if reader.used_at > since]
                await _stopped(reader for reader in idle if reader.used_at <= since)
        finally:
            await _stopped(self._idle.pop(partner))


async def _stopped(readers: Iterable[QueueReader]) -> None:
    await asyncio.gather(*(reader.stop() for reader in readers), return_exceptions=True)


@dataclass(slots=True)
class Follower:
    """Notes what a partner's queue tells, as long as the partner is let in."""

    knowledge: Knowledge
    takers: Sequence[Take]

    async def follow(self, partner: Partner) -> None:
        """Go on from where the store says; what fails is said once and begun again."""
        told: set[type[Exception]] = set()
        while True:
            try:
                reader = QueueReader(partner)
                await reader.start()
                try:
                    await reader.seek(await self.knowledge.positions(partner.id))
                    while not reader.is_outgrown:
                        await self._follow(partner, reader)
                        told.clear()
                finally:
                    await reader.stop()
            except Exception as error:
                if type(error) not in told:
                    log.warning("queue_not_followed", partner=partner.id, exc_info=True)
                told.add(type(error))
                await asyncio.sleep(PAUSE_SECONDS)

    async def _follow(self, partner: Partner, reader: QueueReader) -> None:
        """Note what comes next."""
        try:
            events = await reader.read(seconds=_LOOK_SECONDS, at_most=AT_ONCE)
        except ExpiredError as error:
            log.warning("queue_expired", partner=partner.id, partitions=sorted(error.partitions))
            known = await self.knowledge.positions(partner.id)
            await reader.seek({number: known[number] for number in known.keys() - error.partitions})
            anew = {number: reader.positions[number] for number in error.partitions}
            await self.knowledge.begin_anew(partner.id, anew)
            return
        if events:
            for take in (self.knowledge.take, *self.takers):
                await take(partner.id, events)
            await self.knowledge.keep_positions(partner.id, reader.positions)
