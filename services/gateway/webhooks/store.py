"""Webhooks in MongoDB."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo import ReturnDocument

from services.gateway.domain.cursors import Positions
from services.gateway.domain.webhooks import BETWEEN_REPLAYS, Failure, Seed, State, Webhook, rotate
from shared.contracts.base import new_id
from shared.mongo import Database, translated

WEBHOOKS: Final = "webhooks"
LEASE: Final = timedelta(seconds=60)
"""So long nobody else sends in the place of a gateway that was killed."""


class Webhooks:
    """One document for each partner that has a webhook; `lease` in it says which gateway sends."""

    def __init__(self, database: Database) -> None:
        self._webhooks = database[WEBHOOKS]

    async def get(self, partner_id: str) -> Webhook | None:
        """A partner's webhook."""
        async with translated():
            return _webhook(await self._webhooks.find_one({"_id": partner_id}))

    async def move(self, partner_id: str, url: str) -> bool:
        """Send to another URL; whether there is a webhook."""
        return await self._changed({"_id": partner_id}, {"url": url}) is not None

    async def put(
        self, partner_id: str, url: str, seed: Seed, begin: Positions, now: datetime, *, admission: str
    ) -> bool:
        """Send what comes to the queue behind `begin` to this URL; whether there was no webhook before. `admission` is
        the time that the partner was let in."""
        once = {
            "id": new_id(),
            "admission": admission,
            "seeds": [seed.model_dump()],
            "state": State.ACTIVE.value,
            "since": now,
            "begin": {str(partition): offset for partition, offset in begin.items()},
        }
        async with translated():
            change = {"$set": {"url": url}, "$setOnInsert": once}
            made = await self._webhooks.update_one({"_id": partner_id}, change, upsert=True)
        return made.upserted_id is not None

    async def remove(self, partner_id: str) -> None:
        """Forget it and its secrets."""
        async with translated():
            await self._webhooks.delete_one({"_id": partner_id})

    async def forget_of_other_admission(self, partner_id: str, admission: str) -> None:
        """Forget a webhook from before the partner was removed and let in again. One that does not know its time is of
        this one."""
        async with translated():
            await self._webhooks.update_one({"_id": partner_id, "admission": None}, {"$set": {"admission": admission}})
            await self._webhooks.delete_one({"_id": partner_id, "admission": {"$ne": admission}})

    async def rotate(self, partner_id: str, seed: Seed, now: datetime) -> Webhook | None:
        """Sign with a new secret; those before it count for a while. Raises `RotatedTooOftenError`."""
        while known := await self.get(partner_id):
            seeds = [each.model_dump() for each in rotate(known.seeds, seed, now)]
            as_known = {"_id": partner_id, "seeds.0.value": known.seeds[0].value}
            if changed := await self._changed(as_known, {"seeds": seeds}):
                return changed
        return None

    async def change(self, partner_id: str, before: Collection[State], state: State, now: datetime) -> bool:
        """Change the state where it is one of `before`; whether it was. What was tried before now says nothing then."""
        said = {"state": state.value, "since": now, "reason": None}
        return await self._changed({"_id": partner_id, "state": {"$in": [*before]}}, said) is not None

    async def disable(self, tried: Webhook, reason: Failure, now: datetime) -> bool:
        """Send nothing any more, where the webhook is still as it was tried; whether it was."""
        as_tried = {"_id": tried.partner_id, "url": tried.url, "state": State.ACTIVE.value, "since": tried.since}
        said = {"state": State.DISABLED.value, "since": now, "reason": reason.value}
        return await self._changed(as_tried, said) is not None

    async def hold(self, partner_id: str, owner: str, now: datetime) -> Webhook | None:
        """The webhook, where it is active and `owner` may send; nobody else may until the lease is over."""
        free = [{"lease.owner": owner}, {"lease.until": {"$lte": now}}, {"lease": None}]
        return await self._changed(
            {"_id": partner_id, "state": State.ACTIVE.value, "$or": free},
            {"lease": {"owner": owner, "until": now + LEASE}},
        )

    async def release(self, partner_id: str, owner: str) -> None:
        """Let others send."""
        await self._changed({"_id": partner_id, "lease.owner": owner}, {"lease": None})

    async def claim_replay(self, partner_id: str, now: datetime) -> bool:
        """Whether the last replay is long enough ago; it is now, then."""
        long_ago = [{"replayed_at": None}, {"replayed_at": {"$lte": now - BETWEEN_REPLAYS}}]
        return await self._changed({"_id": partner_id, "$or": long_ago}, {"replayed_at": now}) is not None

    async def give_replay_back(self, partner_id: str) -> None:
        """Let it be claimed at once: nothing came of it."""
        await self._changed({"_id": partner_id}, {"replayed_at": None})

    async def _changed(self, wanted: Mapping[str, Any], change: Mapping[str, Any]) -> Webhook | None:
        async with translated():
            return _webhook(
                await self._webhooks.find_one_and_update(wanted, {"$set": change}, return_document=ReturnDocument.AFTER)
            )


def _webhook(document: Mapping[str, Any] | None) -> Webhook | None:
    return Webhook.model_validate({**document, "partner_id": document["_id"]}) if document else None
