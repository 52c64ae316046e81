"""Gateways that send one partner's deliveries, on a clock that the test sets."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from receiver import Receiver
from toy.trial import eventually

from services.gateway.domain.cursors import Positions
from services.gateway.domain.events import QueueEvent
from services.gateway.domain.webhooks import State, Webhook, new_seed, secret_of
from services.gateway.webhooks.addresses import Place
from services.gateway.webhooks.deliveries import DELIVERIES, Deliveries
from services.gateway.webhooks.sender import Senders
from services.gateway.webhooks.store import Webhooks
from shared.mongo import Database

KEY: Final = b"of the tests"


class Clock:
    """It stands where it was put."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **time: float) -> None:
        """Let time go by."""
        self.now += timedelta(**time)


def event_id(referral: str, number: int) -> str:
    """The id of the event with this number of a referral."""
    return str(uuid5(NAMESPACE_OID, f"{referral} {number}"))


class Watched(Webhooks):
    """It knows how often a gateway looked."""

    looks = 0

    async def hold(self, partner_id: str, owner: str, now: datetime) -> Webhook | None:
        """As ever."""
        held = await super().hold(partner_id, owner, now)
        self.looks += 1
        return held


class Office:
    """One database, and the gateways on it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.clock = clock
        self.webhooks = Watched(database)
        self.deliveries = Deliveries(database, clock=clock)
        self.rows = database[DELIVERIES]
        self._offset = 0
        self._allowed: dict[str, set[Place]] = defaultdict(set)
        self._gateways: list[tuple[Senders, asyncio.Task[None]]] = []

    async def webhook(self, receiver: Receiver, partner: str = "awo", *, begin: Positions | None = None) -> str:
        """Have what comes to a partner's queue behind `begin` sent to a receiver; its secret."""
        seed = new_seed()
        self._allowed[partner].add(Place(receiver.host, receiver.port))
        await self.webhooks.put(partner, receiver.url, seed, begin or {}, self.clock(), admission="")
        return secret_of(KEY, partner, seed)

    async def move(self, receiver: Receiver, partner: str = "awo") -> None:
        """Have them sent to another one, as its partner asks for over HTTP."""
        self._allowed[partner].add(Place(receiver.host, receiver.port))
        await self.webhooks.move(partner, receiver.url)
        await self.deliveries.hasten(await self.state(partner), self.clock())
        await self.webhooks.change(partner, {State.ACTIVE, State.DISABLED}, State.ACTIVE, self.clock())
        self.nudge(partner)

    async def pause(self, partner: str = "awo") -> None:
        """Hold them back, as its partner asks for over HTTP."""
        await self.webhooks.change(partner, {State.ACTIVE}, State.PAUSED, self.clock())
        self.nudge(partner)

    async def resume(self, partner: str = "awo") -> None:
        """Go on, as its partner asks for over HTTP."""
        await self.deliveries.hasten(await self.state(partner), self.clock())
        await self.webhooks.change(partner, {*State}, State.ACTIVE, self.clock())
        self.nudge(partner)

    async def looked(self) -> None:
        """Wait until a gateway has learned what there is to learn, and has acted on it."""
        seen = self.webhooks.looks

        async def again() -> bool:
            self.nudge()
            return self.webhooks.looks >= seen + 2  # what follows the first is over when the second comes

        await eventually(again)

    async def tell(self, *events: tuple[str, int], partner: str = "awo") -> None:
        """Events of its queue, each the referral and a number."""
        told = []
        for referral, number in events:
            self._offset += 1
            told.append(self.an_event(referral, number, 0, self._offset))
        if self._gateways:
            await self._gateways[0][0].take(partner, told)
        else:
            await self.deliveries.take(partner, told)

    def an_event(self, referral: str, number: int, partition: int, offset: int) -> QueueEvent:
        """As it lies in a queue."""
        attributes = {
            "specversion": "1.0",
            "id": event_id(referral, number),
            "source": "/integrationsbuero/routing",
            "type": "de.integrationsbuero.referral.offered.v1",
            "subject": referral,
            "sequence": str(number),
            "time": self.clock().isoformat(),
        }
        return QueueEvent(partition, offset, attributes, {"number": number})

    def gateway(self, *partners: str) -> Senders:
        """Start one that sends for these partners."""
        senders = Senders(self.webhooks, self.deliveries, KEY, allowed=self._allowed, clock=self.clock)
        for partner in partners or ("awo",):
            self._gateways.append((senders, asyncio.create_task(senders.attend(partner))))
        return senders

    def nudge(self, partner: str = "awo") -> None:
        """Have every gateway look."""
        for senders, _ in self._gateways:
            senders.nudge(partner)

    async def state(self, partner: str = "awo") -> Webhook:
        """A partner's webhook."""
        webhook = await self.webhooks.get(partner)
        assert webhook is not None
        return webhook

    async def is_disabled(self) -> bool:
        """Whether it was given up."""
        return (await self.state()).state is State.DISABLED

    async def failures(self, referral: str, number: int = 1) -> int:
        """How many attempts at an event failed, as far as it was noted."""
        row = await self.row(referral, number)
        return int(row["attempts"]) if "failing_since" in row else 0

    async def row(self, referral: str, number: int = 1, partner: str = "awo") -> dict[str, Any]:
        """What is kept of a delivery."""
        found = await self.rows.find_one({"partner_id": partner, "event_id": event_id(referral, number)})
        assert found is not None
        return found

    async def delivered(self, count: int, partner: str = "awo") -> None:
        """Wait until so many are."""

        async def are() -> bool:
            return await self.rows.count_documents({"partner_id": partner, "delivered_at": {"$exists": True}}) == count

        await eventually(are, what=f"{count} deliveries")

    async def stop(self) -> None:
        """End the gateways."""
        for _, task in self._gateways:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._gateways = []

    async def close(self) -> None:
        """The test is over."""
        await self.stop()


def of_each(receiver: Receiver, referrals: Iterable[str]) -> dict[str, list[int]]:
    """The numbers that a receiver got of each referral, in their order."""
    return {
        referral: [got.event["data"]["number"] for got in receiver.got if got.event["subject"] == referral]
        for referral in referrals
    }
