"""Writing to a partner's replies topic in its place."""

import asyncio
from typing import Final

from aiokafka import AIOKafkaProducer

from services.gateway.domain.replies import Written
from services.gateway.partners import Partner
from shared.topics import partner_topics

_PATIENCE_MS: Final = 10_000


class Writers:
    """One connection for each partner that has written."""

    def __init__(self) -> None:
        self._producers: dict[Partner, AIOKafkaProducer] = {}
        self._starting = asyncio.Lock()

    async def write(self, partner: Partner, reply: Written) -> None:
        """Return when the brokers have it; raises `KafkaError`."""
        _, replies = partner_topics(partner.id)
        producer = await self._producer(partner)
        await producer.send_and_wait(replies.name, reply.value, key=reply.key, headers=reply.headers)

    async def tidy(self, partner: Partner) -> None:
        """The partner is not let in any more."""
        producer = self._producers.pop(partner, None)
        if producer is not None:
            await producer.stop()

    async def _producer(self, partner: Partner) -> AIOKafkaProducer:
        async with self._starting:
            if partner not in self._producers:
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
                self._producers[partner] = producer
        return self._producers[partner]
