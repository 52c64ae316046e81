"""Sends a partner's deliveries: those of one referral one after another, those of different ones side by side.

An event is told at least once. What was sent and not yet noted when a gateway was killed is sent again, in its order.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import structlog

from services.gateway.domain.events import QueueEvent
from services.gateway.domain.webhooks import (
    Answer,
    Delivery,
    Failure,
    Webhook,
    again_at,
    headers_of,
    is_hopeless,
)
from services.gateway.webhooks.addresses import BadUrlError, Place, checked
from services.gateway.webhooks.connections import ATTEMPT_SECONDS, CONNECTIONS, Connections, Resolver
from services.gateway.webhooks.deliveries import Deliveries
from services.gateway.webhooks.store import LEASE, Webhooks
from shared.contracts.base import new_id
from shared.metrics import WEBHOOK_ATTEMPTS, WEBHOOKS_DISABLED
from shared.mongo import StoreError
from shared.pipeline.engine import utc_now

log = structlog.get_logger()

LOOK_SECONDS: Final = 2.0
"""How often it looks by itself: for what is due again, and for what was done at another gateway."""
AT_ONCE: Final = 500
_LAST_START: Final = LEASE - timedelta(seconds=2 * ATTEMPT_SECONDS)
"""So long after the lease was taken an attempt may begin, to be over before the lease, clocks that differ included."""

Lane = deque[Delivery]
"""What is to be sent of one referral, in its order."""


class Sender:
    """One for each partner. A receiver that hangs or fails holds up its own partner alone."""

    def __init__(
        self,
        partner_id: str,
        webhooks: Webhooks,
        deliveries: Deliveries,
        connections: Connections,
        key: bytes,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._partner_id = partner_id
        self._webhooks = webhooks
        self._deliveries = deliveries
        self.connections = connections
        self._key = key
        self._clock = clock
        self._owner = new_id()
        self._webhook: Webhook | None = None
        self._held_at = clock()
        self._ready: deque[Lane] = deque()
        self._running: dict[asyncio.Task[Answer], tuple[Webhook, Lane]] = {}
        self._is_more = True
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """There may be something to send, or the webhook is another one."""
        self._nudged.set()

    async def run(self) -> None:
        """Send until cancelled; what fails is said once and begun again."""
        told = None
        try:
            while True:
                try:
                    await self._look()
                    await self._send()
                    told = None
                except Exception as error:
                    if type(error) is not told:
                        log.warning("webhook_waits", partner=self._partner_id, exc_info=True)
                    told = type(error)
                    await asyncio.sleep(LOOK_SECONDS)
        finally:
            await self._end()

    async def _end(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        with suppress(StoreError):
            await self._webhooks.release(self._partner_id, self._owner)

    async def _look(self) -> None:
        """Learn whether to send, and where."""
        self._nudged.clear()
        self._is_more = True
        now = self._clock()
        before, self._webhook = self._webhook, await self._webhooks.hold(self._partner_id, self._owner, now)
        self._held_at = now
        if self._webhook != before:
            self._ready.clear()  # what was loaded may have been changed with it

    async def _send(self) -> None:
        """Send what there is until it is time to look again."""
        clock = asyncio.get_running_loop().time
        until = clock() + LOOK_SECONDS
        nudged = asyncio.create_task(self._nudged.wait())
        try:
            while not nudged.done() and (left := until - clock()) > 0:
                await self._load()
                self._begin()
                await asyncio.wait({nudged, *self._running}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                await self._settle()
        finally:
            nudged.cancel()

    async def _load(self) -> None:
        if self._webhook and self._is_more and len(self._ready) < CONNECTIONS:
            busy = {lane[0].subject for lane in (*self._ready, *(lane for _, lane in self._running.values()))}
            lanes, is_all = await self._deliveries.due(self._webhook, self._clock(), without=busy, at_most=AT_ONCE)
            self._ready += map(deque, lanes)
            self._is_more = not is_all

    def _begin(self) -> None:
        while (
            self._webhook
            and self._ready
            and len(self._running) < CONNECTIONS
            and self._clock() <= self._held_at + _LAST_START
        ):
            lane = self._ready.popleft()
            self._running[asyncio.create_task(self._attempt(self._webhook, lane[0]))] = (self._webhook, lane)

    async def _attempt(self, webhook: Webhook, delivery: Delivery) -> Answer:
        """What became of an attempt; one that nobody foresaw holds up no other, and counts as tried."""
        now = self._clock()
        try:
            headers = headers_of(delivery, webhook.secrets(self._key, now), now)
            return await self.connections.send(webhook.url, headers, delivery.body, now)
        except Exception:
            log.exception("webhook_attempt_broke", partner=self._partner_id)
            return Answer(failure=Failure.BROKEN_OFF)

    async def _settle(self) -> None:
        """Note what is over, in one write, and let the next of those referrals have its turn."""
        over = {task: tried for task, tried in self._running.items() if task.done()}
        if not over:
            return
        now = self._clock()
        outcomes = [(lane[0], task.result()) for task, (_, lane) in over.items()]
        await self._deliveries.note([(*outcome, again_at(*outcome, now)) for outcome in outcomes], now)
        for task, (webhook, lane) in over.items():
            del self._running[task]  # only now: what could not be noted is noted next time
            delivery, answer = lane.popleft(), task.result()
            WEBHOOK_ATTEMPTS.labels(answer.failure or "delivered").inc()
            if self._webhook == webhook and lane and answer.failure is None:
                self._ready.append(lane)
            else:
                self._is_more = True
            if answer.failure and is_hopeless(delivery, answer.failure, now):
                await self._disable(webhook, answer.failure, now)

    async def _disable(self, tried: Webhook, reason: Failure, now: datetime) -> None:
        if await self._webhooks.disable(tried, reason, now):
            self._webhook = None
            self._ready.clear()
            WEBHOOKS_DISABLED.labels(self._partner_id, reason).inc()
            log.warning("webhook_disabled", partner=self._partner_id, reason=reason)


class Senders:
    """A sender for each partner that is let in, each with connections of its own."""

    def __init__(
        self,
        webhooks: Webhooks,
        deliveries: Deliveries,
        key: bytes,
        *,
        allowed: Mapping[str, Collection[Place]],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`allowed` are, by partner, the places that may be anywhere and need no https."""
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._key = key
        self._allowed = allowed
        self._clock = clock
        self._tls = ssl.create_default_context()
        self._at_work: dict[str, Sender] = {}

    async def checked(self, partner_id: str, url: str) -> str:
        """A URL in its one spelling; raises `BadUrlError` where nothing could be sent there now."""
        spelt = checked(url, self._allowed.get(partner_id, ()))
        if partner_id in self._at_work and not await self._at_work[partner_id].connections.find(spelt):
            raise BadUrlError("a host with a public address")
        return spelt

    async def attend(self, partner_id: str) -> None:
        """Send for a partner until cancelled."""
        resolver = Resolver()
        connections = Connections(self._allowed.get(partner_id, ()), resolver, self._tls)
        sender = Sender(partner_id, self._webhooks, self._deliveries, connections, self._key, clock=self._clock)
        self._at_work[partner_id] = sender
        try:
            await sender.run()
        finally:
            del self._at_work[partner_id]
            await connections.close()
            resolver.close()

    async def take(self, partner_id: str, events: Sequence[QueueEvent]) -> None:
        """Note events of a partner's queue, and have them sent."""
        await self._deliveries.take(partner_id, events)
        self.nudge(partner_id)

    def nudge(self, partner_id: str) -> None:
        """Something is to be sent, or the webhook was changed."""
        if partner_id in self._at_work:
            self._at_work[partner_id].nudge()
