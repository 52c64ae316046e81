"""Writing to a partner's replies topic in its place."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import RecordMetadata

from services.gateway.domain.replies import Written
from services.gateway.partners import BusyError, Partner
from shared.topics import partner_topics, sandbox_topics

_PATIENCE_MS: Final = 10_000
MOST_AT_ONCE: Final = 16
"""Replies of one partner that wait for Kafka; each may be 256 KiB."""


@dataclass(slots=True)
class _Writer:
    """A partner's connection, once there is one."""

    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    producer: AIOKafkaProducer | None = None
    waiting: int = 0


class Writers:
    """One connection for each partner that has written, as long as it is let in."""

    def __init__(self) -> None:
        self._writers: dict[Partner, _Writer] = {}

    def open(self, partner: Partner) -> None:
        """The partner is let in."""
        self._writers[partner] = _Writer()

    async def close(self, partner: Partner) -> None:
        """The partner is not let in any more."""
        writer = self._writers.pop(partner)
        async with writer.starting:
            if writer.producer is not None:
                await writer.producer.stop()

    async def write(self, partner: Partner, reply: Written, *, sandbox: bool) -> RecordMetadata:
        """Return where it lies, when the brokers have it; raises `BusyError` and `KafkaError`."""
        _, replies = (sandbox_topics if sandbox else partner_topics)(partner.id)
        writer = self._writers.get(partner)
        if writer is None:  # it is about to be let in, or not to be any more
            raise KafkaConnectionError(partner.id)
        if writer.waiting >= MOST_AT_ONCE:
            raise BusyError
        writer.waiting += 1
        try:
            producer = await self._producer(partner, writer)
            return await producer.send_and_wait(replies.name, reply.value, key=reply.key, headers=reply.headers)
        finally:
            writer.waiting -= 1

    async def _producer(self, partner: Partner, writer: _Writer) -> AIOKafkaProducer:
        async with writer.starting:
            if self._writers.get(partner) is not writer:
                raise KafkaConnectionError(partner.id)
            if writer.producer is None:
                producer = AIOKafkaProducer(
                    **partner.access.options,
                    client_id=f"integrationsbuero-gateway-{partner.id}",
                    acks="all",
                    request_timeout_ms=_PATIENCE_MS,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                writer.producer = producer
        return writer.producer
