"""A gateway on real Kafka and MongoDB, and a partner that was let in for one test."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from fastapi import FastAPI
from routed import a_letter, post
from signing import sign_in, signed
from toy.trial import eventually

from deploy.backends import Backends
from deploy.onboarding import Onboarding, Step
from deploy.quotas import Quota
from deploy.secrets import Secrets
from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from shared.contracts import Event
from shared.contracts.base import derived_id, new_id
from shared.contracts.codes import AgeBand, Concern, Urgency
from shared.contracts.routing import OfferedConcern, ReferralOffered
from shared.topics import partner_topics, topics_of_partner
from shared.web.roles import Role

QUOTA = Quota(1024 * 1024, 4 * 1024 * 1024, 100)
"""More than a test needs."""


@dataclass
class Gateway:
    """A gateway that runs: its door, and what lets partners in."""

    app: FastAPI
    http: httpx.AsyncClient
    folder: Path
    backends: Backends
    hosts: Mapping[str, Collection[str]]

    def onboarding(self) -> Onboarding:
        """Writes where this gateway looks."""
        secrets = Secrets(self.folder / "secrets")
        return Onboarding(self.backends.kafka, secrets, self.folder, told={}, quota=QUOTA, others={})


def settings_of(backends: Backends, folder: Path, hosts: Mapping[str, Collection[str]]) -> GatewaySettings:
    """Of a gateway that looks into that folder, and may send to these places of its partners."""
    return GatewaySettings(
        mongo_url=backends.mongo,
        partners_folder=folder / "gateway",
        cursor_key="a key of the tests",
        webhook_key="a key of the tests",
        webhook_hosts=hosts,
    )


@asynccontextmanager
async def a_gateway(
    backends: Backends, folder: Path, hosts: Mapping[str, Collection[str]] | None = None
) -> AsyncIterator[Gateway]:
    """Run one; its database stays for the next."""
    hosts = hosts or {}
    app = create_app(settings_of(backends, folder, hosts))
    app.state.sign_in = sign_in()
    service = app.state.service
    await service._open()
    for worker in service._workers:
        await worker.start()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=60) as http:
        yield Gateway(app, http, folder, backends, hosts)
    for worker in service._workers:
        await worker.stop()
    service.database.client.close()


async def take(steps: Iterator[Step]) -> None:
    """Take each step, beside the loop: they ask Kafka in one of their own."""

    def all_of_them() -> None:
        for step in steps:
            step.do()

    await asyncio.to_thread(all_of_them)


class Partner:
    """One partner with its own token, its queue and what it wrote."""

    def __init__(self, gateway: Gateway, id_: str | None = None) -> None:
        self.id = id_ or f"p-{uuid4().hex[:8]}"
        self.gateway = gateway
        self.onboarding = gateway.onboarding()
        self._sequence = 0

    async def let_in(self) -> None:
        """Add it, and wait until the gateway has seen that."""
        await take(self.onboarding.adding(self.id))
        await self.is_seen()

    async def is_seen(self) -> None:
        """Wait until its gateway lets it in."""

        async def lets_in() -> bool:
            return (await self.get("/events")).status_code == 200

        await eventually(lets_in)

    async def get(self, path: str, *, as_: str | None = None, **query: Any) -> httpx.Response:
        """Ask for something of its own, with the token of `as_` if given."""
        return await self.gateway.http.get(
            f"/v1/partners/{self.id}{path}", params=query, headers=signed(Role.PARTNER, partner_id=as_ or self.id)
        )

    async def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Have something done with what is its own."""
        headers = signed(Role.PARTNER, partner_id=self.id)
        return await self.gateway.http.request(method, f"/v1/partners/{self.id}{path}", json=body, headers=headers)

    async def reply(self, body: Any, *, media_type: str = "application/cloudevents+json") -> httpx.Response:
        """Send a reply."""
        headers = {**signed(Role.PARTNER, partner_id=self.id), "Content-Type": media_type}
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self.gateway.http.post(f"/v1/partners/{self.id}/replies", headers=headers, **sent)

    async def tell(self, *events: Event) -> None:
        """Write into its queue as routing does."""
        letters = []
        for event in events:
            self._sequence += 1
            letters.append(a_letter("routing", event, self.id, sequence=str(self._sequence)))
        async with AIOKafkaProducer(**self.gateway.backends.kafka.options, acks="all") as producer:
            for letter in letters:
                await post(producer, [letter])

    def an_offer(self, name: str = "") -> ReferralOffered:
        """It is asked to help with debts."""
        concern = OfferedConcern(concern_id=new_id(), code=Concern.DEBT, person_id=new_id(), age_band=AgeBand.ADULT)
        return ReferralOffered(
            partner_id=self.id,
            referral_id=derived_id("referral", self.id, name),
            case_id=derived_id("case", self.id, name),
            agreement="2017-07-01",
            rules=("debt",),
            concerns=(concern,),
            languages=("ar",),
            urgency=Urgency.NORMAL,
            respond_by=date(2026, 12, 1),
        )

    async def written(self) -> list[Any]:
        """Every record of its replies topic."""
        _, replies = partner_topics(self.id)
        async with AIOKafkaConsumer(
            replies.name, **self.gateway.backends.kafka.options, auto_offset_reset="earliest"
        ) as consumer:
            ends = await consumer.end_offsets(consumer.assignment())
            found: list[Any] = []
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
            return found

    async def is_gone(self) -> None:
        """Remove it and its topics."""
        await take(self.onboarding.removing(self.id))
        admin = AIOKafkaAdminClient(**self.gateway.backends.kafka.options)
        await admin.start()
        there = set(await admin.list_topics())
        await admin.delete_topics([topic.name for topic in topics_of_partner(self.id) if topic.name in there])
        await admin.close()
