"""What arrives on every topic, as it happens; in no consumer group, so nobody is disturbed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from pydantic import ValidationError

from shared.contracts import BY_TYPE, Event
from shared.envelope import UnreadableError, unwrap
from shared.kafka_access import KafkaAccess
from shared.kafka_consumer import Consumer
from shared.pipeline import wire
from shared.topics import SERVICES

EVERY_TOPIC: Final = rf"^({'|'.join(SERVICES)}|partner)\..*\.v[0-9]+$"
_NEW_TOPICS_MS: Final = 3000


@dataclass(frozen=True, slots=True)
class Seen:
    """An event and where it was read; `time` is when the broker got it. Late duplicates have the same `id`."""

    id: str
    topic: str
    time: datetime
    event: Event


@asynccontextmanager
async def live_events(access: KafkaAccess) -> AsyncIterator[AsyncIterator[Seen]]:
    """The events among the live records."""
    async with live_records(access) as records:
        yield (seen async for record in records if (seen := _seen(record)))


@asynccontextmanager
async def live_records(
    access: KafkaAccess, *, from_start: bool = False
) -> AsyncIterator[AsyncIterator[ConsumerRecord]]:
    """A stream that begins at the end of every topic, and at the beginning of topics that are made later.

    With `from_start` it begins with what lies there. Records that no client could read are among them.
    """
    wire.install()
    consumer = Consumer(
        **access.options,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        metadata_max_age_ms=_NEW_TOPICS_MS,
    )
    consumer.subscribe(pattern=EVERY_TOPIC)
    try:
        await consumer.start()
        if not from_start:
            await consumer.seek_to_end()
        yield _read(consumer)
    finally:
        await consumer.stop()


async def _read(consumer: Consumer) -> AsyncIterator[ConsumerRecord]:
    while True:
        try:
            found = await consumer.getmany(timeout_ms=200)
        except KafkaError:  # it is away; the client finds it again by itself
            await asyncio.sleep(1)
            continue
        records = (record for records in found.values() for record in records)
        for record in sorted(records, key=lambda record: record.timestamp):
            yield record


def _seen(record: ConsumerRecord) -> Seen | None:
    """None for what cannot be read: the services set such a record aside and say so in an event of their own."""
    try:
        envelope = unwrap(record.topic, record.headers, record.value)
        event = BY_TYPE[envelope.type].event.model_validate_json(envelope.data)
    except (UnreadableError, ValidationError, KeyError):
        return None
    return Seen(envelope.id, record.topic, datetime.fromtimestamp(record.timestamp / 1000, UTC), event)
