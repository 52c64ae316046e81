"""One consumer group of one service: polls, hands batches to the engine, publishes, commits what was handled.

FastStream runs the loop. What it leaves open is settled here: offsets are committed explicitly and only for handled
records; after any trouble every partition goes back to its last handled offset; a rebalance waits for the batch.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from aiokafka import ConsumerRebalanceListener
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.kafka_access import KafkaAccess
from shared.kafka_consumer import Consumer
from shared.metrics import BACK_OFFS, BATCH_RECORDS, BATCH_SECONDS, HOP_SECONDS, LAG, SLOWED_DOWN
from shared.mongo import StoreError
from shared.pace import Pace
from shared.pipeline.outbox import RETRY_MS, until_reachable
from shared.pipeline.set_aside import size_of
from shared.topics import is_from_outside

log = structlog.get_logger()

Handle = Callable[[Sequence[ConsumerRecord]], Awaitable[Collection[str]]]
"""Makes a batch take effect; returns the streams with something to publish, raises `StoreError` to have it again."""

Publish = Callable[[Collection[str]], Awaitable[None]]
"""Publishes what these streams have to tell; never raises, what it cannot send is stored and sent later."""

POLL_SECONDS: Final = 1.0
READY_SECONDS: Final = 10.0
BATCH_BYTES: Final = 4 * 1024 * 1024
FETCH_BYTES: Final = 1024 * 1024
"""More than a batch of usual records; all that was fetched is held until it is handled."""
DRAIN_SECONDS: Final = 30.0
LONGEST_BACK_OFF: Final = 5.0
COMMIT_SECONDS: Final = 5.0
"""How long a commit may take; what is not committed is tried again with the next."""
LEAVE_SECONDS: Final = 10.0
_USUAL_BYTES: Final = 1024
"""Of a record; a larger one counts for several where others write."""
BUFFER_SECONDS: Final = 60.0
"""How long fetched records may wait for the handler before the client asks for more beside them."""


class PatientConsumer(Consumer):
    """The client's consumer, which never raises out of `getmany` and remembers what was handled."""

    def __init__(self, *args: Any, pace: Pace, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pace = pace
        self.handled: dict[TopicPartition, int] = {}
        """The next offset to handle, of every partition whose position is known."""
        self._uncommitted: dict[TopicPartition, int] = {}
        self.polled_at = 0.0
        self.answered_at = 0.0
        self.joined = False
        self.stopping = False
        self.idle = asyncio.Event()
        self.idle.set()
        self.telling: asyncio.Task[None] | None = None
        """Publishes what follows from the batch before, while the next takes effect."""
        self._committing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join; from then on the client fetches only when everything it has fetched is taken.

        Otherwise it asks for the emptied partitions alone while others wait here: the broker lets that request wait
        for half a second, the others' next records wait behind it, and the buffer grows with the number of partitions.
        """
        await super().start()
        self._fetcher._prefetch_backoff = BUFFER_SECONDS
        heartbeat = self._coordinator._do_heartbeat

        async def noted() -> bool:
            if answered := await heartbeat():
                self.answered_at = time.monotonic()
            return bool(answered)

        self._coordinator._do_heartbeat = noted

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Waits until there is something, so that FastStream's sleep after an empty poll never comes."""
        while True:
            self._note_positions()
            self._keep_pace()
            try:
                found = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
            except (asyncio.CancelledError, ConsumerStoppedError):
                raise
            except Exception as error:
                log.warning("poll_failed", error=type(error).__name__)
                await asyncio.sleep(POLL_SECONDS)
                await self._start_again()
                continue
            self.polled_at = time.monotonic()
            for partition, records in self.lag().items():
                LAG.labels(*partition).set(records)
            if self.stopping:
                await asyncio.Event().wait()  # what was fetched is not handled; FastStream cancels this task
            if found:
                for partition, records in found.items():
                    self.handled.setdefault(partition, records[0].offset)
                    if is_from_outside(partition.topic):
                        self._pace.note(partition.topic, sum(1 + size_of(record) // _USUAL_BYTES for record in records))
                self.idle.clear()
                return dict(found)
            self._commit_soon()

    def _keep_pace(self) -> None:
        """Leave others' topics that have had their share at the broker for now, with what was fetched of them. Kafka's
        quotas count bytes as they are sent, and a few packed ones may be many thousand records."""
        early = {partition for partition in self.assignment() if self._pace.is_reached(partition.topic)}
        for topic in {partition.topic for partition in early - self.paused()}:
            SLOWED_DOWN.labels(topic).inc()
        self.resume(*self.paused() - early)
        self.pause(*early)

    def lag(self) -> dict[TopicPartition, int]:
        """Records between what was handled and the end, for the partitions that were asked for."""
        ends = {partition: self.highwater(partition) for partition in self.assignment() & self.handled.keys()}
        return {partition: end - self.handled[partition] for partition, end in ends.items() if end is not None}

    def put_back(self) -> None:
        """Seek to what was handled last, in every partition."""
        for partition in self.handled.keys() & self.assignment():  # of what is lost the new owner starts at the commit
            self.seek(partition, self.handled[partition])

    def _note_positions(self) -> None:
        """What lies before the positions is handled once no batch is at hand, also where it was no record: a
        transaction ends with a mark of the broker, and what was taken back is never delivered."""
        assignment = self._subscription.subscription.assignment
        if assignment is None:  # a new topic fits the pattern: the group is about to join anew
            return
        if not (self.joined and self.idle.is_set()) or _is_under_way(self.telling):
            return
        for partition, (position, _) in assignment.all_consumed_offsets().items():
            if self.handled.get(partition) != position:
                self.handled[partition] = self._uncommitted[partition] = position

    async def _start_again(self) -> None:
        """The client may have passed what it never delivered: go back, and first ask where to, until that is known."""
        while begun := self.assignment() - self.handled.keys():
            try:
                for partition in begun:
                    self.handled[partition] = await self._beginning(partition)
            except (KafkaError, IllegalStateError) as error:
                log.warning("position_unknown", error=type(error).__name__)
                await asyncio.sleep(POLL_SECONDS)
        self.put_back()

    async def _beginning(self, partition: TopicPartition) -> int:
        committed: int | None = await self.committed(partition)
        return committed if committed is not None else (await self.beginning_offsets([partition]))[partition]

    def commit_handled(self, records: Sequence[ConsumerRecord]) -> None:
        """Remember these records and commit them soon; one that comes too late is harmless, the inbox knows them."""
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            if partition in self.handled:
                self.handled[partition] = self._uncommitted[partition] = record.offset + 1
        self._commit_soon()

    def _commit_soon(self) -> None:
        if self._uncommitted and not _is_under_way(self._committing):
            self._committing = asyncio.create_task(self._commit())

    async def _commit(self) -> None:
        """Commit what is handled, also what is handled meanwhile; one at a time, so that none goes back."""
        while offsets := dict(self._uncommitted):
            wanted = {partition: OffsetAndMetadata(offset, "") for partition, offset in offsets.items()}
            try:
                async with asyncio.timeout(COMMIT_SECONDS):  # the client would go on while the broker is away
                    await self.commit(wanted)
            except (TimeoutError, KafkaError, IllegalStateError) as error:
                log.warning("commit_failed", error=type(error).__name__, partitions=len(offsets))
                return
            for partition, offset in offsets.items():
                if self._uncommitted.get(partition) == offset:
                    del self._uncommitted[partition]

    async def settled(self) -> None:
        """Wait, for so long as a drain may take, until what is at hand has taken effect, is told and committed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.idle.wait()
                await self.told()
                if self._committing is not None:
                    await asyncio.wait({self._committing})

    async def told(self) -> None:
        """Wait until what follows from the batch before is published."""
        if self.telling is not None:
            await asyncio.wait({self.telling})

    def forget(self) -> None:
        """All partitions are handed over; whoever gets them starts at the commits."""
        for partition in self.handled:
            with suppress(KeyError):  # its lag was never known here
                LAG.remove(*partition)
        self.handled.clear()
        self._uncommitted.clear()

    @property
    def is_ready(self) -> bool:
        """Joined its group, fetches, polled a moment ago, and the broker answered a moment ago."""
        if not self.joined or self._fetcher.error_future.done():
            return False
        return time.monotonic() - min(self.polled_at, self.answered_at) < READY_SECONDS


def _is_under_way(task: asyncio.Task[None] | None) -> bool:
    return task is not None and not task.done()


class Drain(ConsumerRebalanceListener):  # type: ignore[misc]
    """Lets the batch at hand finish and commit before its partitions go to another instance."""

    def __init__(self) -> None:
        self.consumer: PatientConsumer | None = None

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        """Wait for the batch, bounded; what is late loses the race by version and inbox."""
        consumer = self.consumer
        if consumer is None:
            return
        consumer.joined = False
        await consumer.settled()
        consumer.forget()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Partitions come with the committed offsets of whoever had them before."""
        if self.consumer is not None:
            self.consumer.joined = True
            self.consumer.polled_at = self.consumer.answered_at = time.monotonic()
            log.info("partitions_assigned", group=self.consumer._group_id, partitions=len(assigned))


class Consumption:
    """A FastStream broker with one batch subscriber on a topic pattern."""

    def __init__(
        self,
        access: KafkaAccess,
        pattern: str,
        group: str,
        handle: Handle,
        publish: Publish,
        *,
        batch_records: int,
        pace: Pace,
    ) -> None:
        self._access = access
        self._pace = pace
        self._handle = handle
        self._publish = publish
        self.group = group
        self._listener = Drain()
        self._failures = 0
        self._stopping = asyncio.Event()
        self._broker = KafkaBroker(
            access.kafka_bootstrap,
            client_id=f"integrationsbuero-{group}",
            consumer_only=True,
            allow_auto_create_topics=False,
            apply_types=False,
            logger=None,
            graceful_timeout=DRAIN_SECONDS,
            metadata_max_age_ms=3000,
            retry_backoff_ms=RETRY_MS,
        )
        self._broker.subscriber(
            pattern=pattern,
            group_id=group,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            ack_policy=AckPolicy.MANUAL,
            batch=True,
            max_records=batch_records,
            batch_timeout_ms=int(POLL_SECONDS * 1000),
            fetch_max_bytes=FETCH_BYTES,
            fetch_max_wait_ms=1000,  # the broker answers at once when there is something; this is how often it says no
            listener=self._listener,
            parser=self._whole,
            decoder=_undecoded,
        )(self._on_batch)

    async def start(self) -> None:
        """Join the group and begin; waits until the broker answers."""
        await until_reachable(self._connect, self._access)

    async def _connect(self) -> None:
        await self._broker.connect()
        config = self._broker.config.broker_config
        config.builder = self._building(config.builder)
        try:
            await self._broker.start()
        except KafkaError:
            await self._broker.stop()
            raise

    async def stop(self) -> None:
        """Finish the batch, commit it and leave the group."""
        self._stopping.set()
        consumer = self._listener.consumer
        if consumer is not None:
            consumer.stopping = True
            await consumer.settled()
        with suppress(TimeoutError):  # nobody can be told that we leave while the broker is away
            await asyncio.wait_for(self._broker.stop(), LEAVE_SECONDS)

    @property
    def is_ready(self) -> bool:
        """Whether the consumer belongs to its group, polls and is answered."""
        return self._listener.consumer is not None and self._listener.consumer.is_ready

    def lag(self) -> dict[str, int]:
        """Records between what was handled and the end, a topic."""
        lag: dict[str, int] = {}
        if self._listener.consumer is not None:
            for partition, records in self._listener.consumer.lag().items():
                lag[partition.topic] = lag.get(partition.topic, 0) + records
        return lag

    def _building(self, builder: Any) -> Callable[..., PatientConsumer]:
        def build(**options: Any) -> PatientConsumer:
            consumer = PatientConsumer(**{**builder.keywords, **self._access.options, **options}, pace=self._pace)
            self._listener.consumer = consumer
            return consumer

        return build

    async def _whole(self, records: tuple[ConsumerRecord, ...]) -> KafkaMessage:
        consumer = self._listener.consumer
        assert consumer is not None, "records come from the consumer that was built"
        return KafkaMessage(body=b"", raw_message=records, consumer=consumer)

    async def _on_batch(self, message: KafkaMessage) -> None:
        consumer = self._listener.consumer
        assert consumer is not None, "a batch comes from the consumer that was built"
        try:
            for records in _bounded(message.raw_message):
                await self._handle_one(consumer, records)
            self._failures = 0
        except StoreError as error:
            await self._back_off(consumer, type(error), str(error))
        except Exception as error:
            # FastStream would swallow it and go on, and the next commit would pass what was never handled.
            log.exception("batch_failed", group=self.group)
            await self._back_off(consumer, type(error), type(error).__name__)
        finally:
            message.raw_message = ()  # FastStream leaves the message in a cycle; its records shall not wait with it
            consumer.idle.set()

    async def _handle_one(self, consumer: PatientConsumer, records: Sequence[ConsumerRecord]) -> None:
        """The next batch takes effect while this one is told; never are more than two under way."""
        started = time.perf_counter()
        streams = await self._handle(records)
        await consumer.told()
        consumer.telling = asyncio.create_task(self._tell(consumer, records, streams, started))

    async def _tell(
        self, consumer: PatientConsumer, records: Sequence[ConsumerRecord], streams: Collection[str], started: float
    ) -> None:
        await self._publish(streams)
        consumer.commit_handled(records)
        took = time.perf_counter() - started
        BATCH_RECORDS.observe(len(records))
        BATCH_SECONDS.observe(took)
        now = time.time()
        for record in records:
            HOP_SECONDS.observe(max(0.0, now - record.timestamp / 1000))
        log.info("batch_handled", group=self.group, records=len(records), milliseconds=round(took * 1000, 1))

    async def _back_off(self, consumer: PatientConsumer, kind: type[Exception], text: str) -> None:
        await consumer.told()
        consumer.put_back()
        self._failures += 1
        pause = min(LONGEST_BACK_OFF, 0.1 * 2**self._failures) * (0.5 + random.random() / 2)  # noqa: S311
        BACK_OFFS.labels(kind.__name__).inc()
        log.warning("batch_put_back", group=self.group, error=text, pause_seconds=round(pause, 2))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), pause)


async def _undecoded(message: KafkaMessage) -> KafkaMessage:
    return message


def _bounded(records: Sequence[ConsumerRecord]) -> Iterator[Sequence[ConsumerRecord]]:
    """The batch in portions whose bytes fit one transaction comfortably."""
    portion: list[ConsumerRecord] = []
    size = 0
    for record in records:
        weight = size_of(record) + 500
        if portion and size + weight > BATCH_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(record)
        size += weight
    if portion:
        yield portion
