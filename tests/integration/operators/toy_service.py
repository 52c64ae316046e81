"""A service small enough to see through: it counts the acceptances of a case and tells another partner about each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from shared import topics
from shared.contracts import Event
from shared.contracts.base import derived_id, new_id
from shared.contracts.codes import AppointmentMode, Concern
from shared.contracts.routing import ReferralAccepted, ReferralScheduled
from shared.envelope import Cause, headers_of, source_of
from shared.pipeline.decisions import Aggregate, Decision, Reaction, Received
from shared.pipeline.outbox import row_of
from shared.pipeline.reading import Subscription
from shared.pipeline.states import MongoStates
from shared.service import Service
from shared.settings import ServiceSettings

PATIENCE = 20.0


class Counted(Aggregate):
    """The referrals of a case in the order their acceptances took effect."""

    referrals: tuple[str, ...] = ()


class Toy:
    """Topics, database and service of one test; `stumbles` lets its handler fail until it is mended."""

    def __init__(self, bootstrap: str, mongo_url: str, token_file: Path) -> None:
        self.name = f"toy-{new_id()[:8]}"
        self.told = f"told-{new_id()[:8]}"
        self.stumbles = False
        self.queue = topics.partner_topics(self.name)[0].name
        self.told_queue = topics.partner_topics(self.told)[0].name
        self.settings = ServiceSettings(
            kafka_bootstrap=bootstrap, mongo_url=mongo_url, port=1, service_token_file=token_file
        )
        self.subscription = Subscription(f"^{self.queue.replace('.', '[.]')}$", self.name)

    async def provision(self) -> None:
        """The topics of this toy."""
        pairs = [pair[0] for pair in (topics.partner_topics(self.name), topics.partner_topics(self.told))]
        await topics.provision(
            self.settings.kafka_bootstrap, [*pairs, topics.Topic(topics.dead_letters_of(self.name), partitions=1)]
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[httpx.AsyncClient]:
        """The service from start to stop; gives a client that operators would use."""
        service = Service(
            self.name,
            self.settings,
            states=lambda database: MongoStates(database, "cases", Counted),
            reactions=[Reaction(ReferralAccepted, self._count, lambda event: event.case_id)],
            subscriptions=[self.subscription],
        )
        app = service.app()
        async with app.router.lifespan_context(app):
            await eventually(lambda: _true(service.pipeline.readiness()[self.name]))
            token = self.settings.service_token_file.read_text()
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url="http://toy",
                headers={"Authorization": f"Bearer {token}"},
            ) as client:
                self.database = service.database
                self.pipeline = service.pipeline
                yield client

    def _count(self, received: Received[ReferralAccepted], known: Counted | None, _now: datetime) -> Decision[Counted]:
        if self.stumbles:
            raise ValueError("the toy stumbles")
        event = received.event
        known = known or Counted(id=event.case_id)
        told = ReferralScheduled(
            partner_id=self.told,
            referral_id=event.referral_id,
            case_id=event.case_id,
            appointment_id=derived_id(received.cause.id, "appointment"),
            starts_at=datetime(2026, 1, 7, 9, tzinfo=UTC),
            minutes=30,
            place="office",
            mode=AppointmentMode.ON_SITE,
        )
        return Decision(known.model_copy(update={"referrals": (*known.referrals, event.referral_id)}), (told,))

    def accepted(self, case_id: str, referral_id: str | None = None) -> ReferralAccepted:
        """An event the toy counts."""
        return ReferralAccepted(
            partner_id=self.name,
            referral_id=referral_id or new_id(),
            case_id=case_id,
            person_id=new_id(),
            codes=(Concern.DEBT,),
            languages=("uk",),
        )

    async def write(self, *events: Event) -> None:
        """Publish these in order, as routing would."""
        for event in events:
            row = row_of(event, Cause.begin(), 0, None, 1, datetime.now(UTC))
            await self.write_raw(row["data"].encode(), row["subject"].encode(), headers_of(row, source_of("routing")))

    async def write_raw(self, value: bytes | None, key: bytes | None, headers: list[tuple[Any, bytes]]) -> None:
        """Publish any record in the toy's queue."""
        async with AIOKafkaProducer(bootstrap_servers=self.settings.kafka_bootstrap) as producer:
            await producer.send_and_wait(self.queue, value, key, headers=headers)

    async def counted(self, case_id: str) -> list[str]:
        """The referrals of a case as the toy knows them."""
        document = await self.database["cases"].find_one({"_id": case_id})
        return list(document["referrals"]) if document else []

    async def published(self) -> list[ConsumerRecord]:
        """Everything the toy has told, from the start."""
        return await everything_in(self.settings.kafka_bootstrap, self.told_queue)


async def everything_in(bootstrap: str, topic: str) -> list[ConsumerRecord]:
    """All records of a topic that lie there now."""
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        records: list[ConsumerRecord] = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for found in (await consumer.getmany(timeout_ms=200)).values():
                records += found
    return records


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it holds; fails after `PATIENCE` seconds."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():
            await asyncio.sleep(0.05)


async def _true(value: bool) -> bool:
    return value
