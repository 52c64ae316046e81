"""What is sent to webhooks, in MongoDB: a row for each event, from when it was told until it goes from the queue."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, UpdateOne

from services.gateway.domain.events import QueueEvent
from services.gateway.domain.webhooks import Answer, Delivery, Webhook
from services.gateway.webhooks.store import Webhooks
from shared.mongo import Database, translated
from shared.pipeline.engine import utc_now
from shared.topics import RETENTION_MS
from shared.web.cursor import Position

DELIVERIES: Final = "deliveries"
KEPT: Final = timedelta(milliseconds=RETENTION_MS)
"""A delivery goes when its event goes from the queue, delivered or not."""


class Deliveries:
    """One row for each event and webhook. `next_at` stands only while a row is to be sent, so its index stays small."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._rows = database[DELIVERIES]
        self._webhooks = Webhooks(database)
        self._clock = clock

    async def take(self, partner_id: str, events: Sequence[QueueEvent]) -> None:
        """Note these events of a queue for the webhook that the partner has; raises `StoreError`."""
        webhook = await self._webhooks.get(partner_id)
        # In order: whoever finds a row finds the earlier ones of its subject as well.
        events = sorted(events, key=lambda event: event.sequence)
        rows = [_row(webhook, event, self._clock()) for event in events if webhook.covers(event)] if webhook else []
        if not webhook or not rows:
            return
        async with translated():
            await self._rows.bulk_write([_noted(row) for row in rows], ordered=True)
        known = await self._webhooks.get(partner_id)
        if known is None or known.id != webhook.id:
            await self.forget_earlier(partner_id)

    async def due(
        self, webhook: Webhook, now: datetime, *, without: Collection[str], at_most: int
    ) -> tuple[list[list[Delivery]], bool]:
        """What is to be sent now, by subject and in its order, and whether that is all. A row never passes
        one of its subject that waits; `without` names subjects that are busy."""
        wanted = {**_of(webhook), "next_at": {"$lte": now}, "subject": {"$nin": sorted(without)}}
        async with translated():
            found = self._rows.find(wanted, {"subject": 1}).sort("next_at", ASCENDING).limit(at_most)
            subjects = [row["subject"] async for row in found]
            rows = self._rows.find(
                {**_of(webhook), "subject": {"$in": [*dict.fromkeys(subjects)]}, "next_at": {"$exists": True}}
            ).sort([("subject", ASCENDING), ("sequence", ASCENDING), ("offset", ASCENDING)])
            deliveries = [(row["subject"], _delivery(row)) async for row in rows.limit(2 * at_most)]
            lanes = [[row for _, row in lane] for _, lane in groupby(deliveries, key=lambda each: each[0])]
            behind = [
                UpdateOne({"_id": row.id, "next_at": row.next_at}, {"$set": {"next_at": lane[0].next_at}})
                for lane in lanes
                for row in lane
                if lane[0].next_at > now >= row.next_at
            ]
            if behind:
                await self._rows.bulk_write(behind, ordered=False)
        is_all = len(subjects) < at_most and len(deliveries) < 2 * at_most
        return [lane for lane in lanes if lane[0].next_at <= now], is_all

    async def note(self, outcomes: Sequence[tuple[Delivery, Answer, datetime | None]], now: datetime) -> None:
        """Note what became of attempts, and when each is to be tried again; None where it was delivered."""
        async with translated():
            await self._rows.bulk_write([_outcome(*outcome, now) for outcome in outcomes], ordered=False)

    async def hasten(self, webhook: Webhook, now: datetime) -> None:
        """Try again at once what waits, as if it had never failed."""
        async with translated():
            await self._rows.update_many(
                {**_of(webhook), "$or": [{"next_at": {"$gt": now}}, {"failing_since": {"$exists": True}}]},
                {"$set": {"next_at": now, "attempts": 0}, "$unset": {"failing_since": ""}},
            )

    async def replay(self, webhook: Webhook, begin: datetime, now: datetime) -> int:
        """Send again what was delivered of the events since `begin` (UTC); how many that are."""
        async with translated():
            again = await self._rows.update_many(
                {**_of(webhook), "time": {"$gte": begin}, "delivered_at": {"$exists": True}},
                {
                    "$set": {"next_at": now, "is_replay": True, "attempts": 0},
                    "$unset": {"delivered_at": "", "last": ""},
                },
            )
        return again.modified_count

    async def forget_earlier(self, partner_id: str) -> None:
        """Forget what was noted for webhooks that the partner has no more."""
        async with translated():
            noted = await self._rows.distinct("webhook_id", {"partner_id": partner_id})
            known = await self._webhooks.get(partner_id)  # only now: one that is gone by then does not come back
            gone = [id_ for id_ in noted if known is None or id_ != known.id]
            await self._rows.delete_many({"partner_id": partner_id, "webhook_id": {"$in": gone}})

    async def waiting(self, webhook: Webhook) -> int:
        """How many are to be sent."""
        async with translated():
            return await self._rows.count_documents({**_of(webhook), "next_at": {"$exists": True}})

    async def page(
        self, webhook: Webhook, *, only_failing: bool, before: Position | None, limit: int
    ) -> list[Mapping[str, Any]]:
        """A webhook's deliveries without their bodies, the newest event first."""
        wanted: dict[str, Any] = _of(webhook)
        if only_failing:
            wanted["failing_since"] = {"$exists": True}
        if before is not None:
            time, id_ = before
            wanted["$or"] = [{"time": {"$lt": time}}, {"time": time, "event_id": {"$lt": id_}}]
        async with translated():
            found = self._rows.find(wanted, {"body": 0}).sort([("time", DESCENDING), ("event_id", DESCENDING)])
            return [row async for row in found.limit(limit)]


def _of(webhook: Webhook) -> dict[str, Any]:
    return {"partner_id": webhook.partner_id, "webhook_id": webhook.id}


def _row(webhook: Webhook, event: QueueEvent, now: datetime) -> dict[str, Any]:
    return {
        "_id": f"{webhook.id}/{event.id}",
        **_of(webhook),
        "event_id": event.id,
        "type": event.type,
        "subject": event.subject,
        "sequence": event.sequence,
        "offset": event.offset,
        "time": event.time,
        "body": json.dumps(event.as_json, ensure_ascii=False),
        "attempts": 0,
        "next_at": now,
        "expires_at": event.time + KEPT,
    }


def _noted(row: dict[str, Any]) -> UpdateOne:
    return UpdateOne({"_id": row.pop("_id")}, {"$setOnInsert": row}, upsert=True)


def _delivery(row: Mapping[str, Any]) -> Delivery:
    return Delivery(
        row["_id"],
        row["event_id"],
        row["subject"],
        row["body"],
        row["next_at"],
        row["attempts"],
        row.get("failing_since"),
        row.get("is_replay", False),
    )


def _outcome(delivery: Delivery, answer: Answer, again_at: datetime | None, now: datetime) -> UpdateOne:
    """A late word of a gateway that lost its lease takes nothing back that was delivered meanwhile; nor does a failure
    what was hastened."""
    last = {"at": now, "status": answer.status, "failure": answer.failure and answer.failure.value}
    change: dict[str, Any] = {"$inc": {"attempts": 1}}
    if again_at is None:
        change["$set"] = {"last": last, "delivered_at": now}
        change["$unset"] = {"next_at": "", "failing_since": ""}
        return UpdateOne({"_id": delivery.id, "next_at": {"$exists": True}}, change)
    change["$set"] = {"last": last, "next_at": again_at, "failing_since": delivery.failing_since or now}
    return UpdateOne({"_id": delivery.id, "next_at": delivery.next_at, "attempts": delivery.attempts}, change)
