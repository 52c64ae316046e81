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
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.kafka_access import KafkaAccess
from shared.metrics import BACK_OFFS, BATCH_RECORDS, BATCH_SECONDS, HOP_SECONDS
from shared.mongo import StoreError
from shared.pace import Pace
from shared.pipeline.outbox import RETRY_MS, until_reachable
from shared.pipeline.patient_consumer import DRAIN_SECONDS, POLL_SECONDS, PatientConsumer
from shared.pipeline.set_aside import size_of

log = structlog.get_logger()

Handle = Callable[[Sequence[ConsumerRecord]], Awaitable[Collection[str]]]
"""Makes a batch take effect; returns the streams with something to publish, raises `StoreError` to have it again."""

Publish = Callable[[Collection[str]], Awaitable[None]]
"""Publishes what these streams have to tell; never raises, what it cannot send is stored and sent later."""

BATCH_BYTES: Final = 4 * 1024 * 1024
FETCH_BYTES: Final = 1024 * 1024
"""More than a batch of usual records; all that was fetched is held until it is handled."""
LONGEST_BACK_OFF: Final = 5.0
LEAVE_SECONDS: Final = 10.0


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
