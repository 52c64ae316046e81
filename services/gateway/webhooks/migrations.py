"""The collections of webhooks, and by what they are looked up."""

from typing import Any, Final

from pymongo import ASCENDING, DESCENDING

from services.gateway.webhooks.deliveries import DELIVERIES
from services.gateway.webhooks.store import WEBHOOKS
from shared.migrations import Migration, ensure_collection
from shared.mongo import Database


async def _create(database: Database) -> None:
    for name in (WEBHOOKS, DELIVERIES):
        await ensure_collection(database, name)
    rows = database[DELIVERIES]
    waiting = {"next_at": {"$exists": True}}
    of_partner = ("partner_id", ASCENDING)
    await rows.create_index([of_partner, ("next_at", ASCENDING)], name="due", partialFilterExpression=waiting)
    await rows.create_index(
        [of_partner, ("subject", ASCENDING), ("offset", ASCENDING)], name="in-order", partialFilterExpression=waiting
    )
    await rows.create_index([of_partner, ("time", DESCENDING), ("event_id", DESCENDING)], name="latest")
    await rows.create_index("expires_at", name="expires", expireAfterSeconds=0)


async def _give_ids(database: Database) -> None:
    """A webhook from before has its partner's id for its own, as the ids of its rows say already."""
    everything: dict[str, Any] = {"$literal": {}}
    await database[WEBHOOKS].update_many({"id": None}, [{"$set": {"id": "$_id", "begin": everything}}])
    rows = database[DELIVERIES]
    await rows.update_many({"webhook_id": None}, [{"$set": {"webhook_id": "$partner_id"}}])
    of_webhook = [("partner_id", ASCENDING), ("webhook_id", ASCENDING)]
    in_order = [("subject", ASCENDING), ("sequence", ASCENDING), ("offset", ASCENDING)]
    latest = [("time", DESCENDING), ("event_id", DESCENDING)]
    waiting, failing = {"next_at": {"$exists": True}}, {"failing_since": {"$exists": True}}
    await rows.create_index([*of_webhook, ("next_at", ASCENDING)], name="due-now", partialFilterExpression=waiting)
    await rows.create_index([*of_webhook, *in_order], name="by-sequence", partialFilterExpression=waiting)
    await rows.create_index([*of_webhook, *latest], name="latest-first")
    await rows.create_index([*of_webhook, *latest], name="failing", partialFilterExpression=failing)
    for name in {"due", "in-order", "latest"} & (await rows.index_information()).keys():
        await rows.drop_index(name)


MIGRATIONS: Final = (Migration("gateway-webhooks", _create), Migration("gateway-webhook-ids", _give_ids))
