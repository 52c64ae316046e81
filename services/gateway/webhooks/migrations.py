"""The collections of webhooks, and by what they are looked up."""

from typing import Final

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


MIGRATIONS: Final = (Migration("gateway-webhooks", _create),)
