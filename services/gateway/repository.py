"""What the gateway keeps of partners' queues: their referrals, their rejected replies, how far it has read."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError

from services.gateway.domain.cursors import Positions
from services.gateway.domain.events import QueueEvent
from services.gateway.domain.referrals import KnownReferral, after
from shared.contracts import BY_EVENT
from shared.contracts.routing import ReplyRejected
from shared.migrations import Migration, ensure_collection
from shared.mongo import Database, translated

REFERRALS: Final = "referrals"
REJECTIONS: Final = "rejections"
POSITIONS: Final = "positions"
KEPT: Final = timedelta(days=60)
"""So long after its end a referral may be asked for, and a rejection after it happened."""

_REJECTED: Final = BY_EVENT[ReplyRejected].type
_DUPLICATE_KEY: Final = 11000


class Knowledge:
    """What partners' queues have told. Everything may be told again, also by several instances at once."""

    def __init__(self, database: Database) -> None:
        self._referrals = database[REFERRALS]
        self._rejections = database[REJECTIONS]
        self._positions = database[POSITIONS]

    async def take(self, partner_id: str, events: Sequence[QueueEvent]) -> None:
        """Note what these events of a queue, in its order, say; raises `StoreError`."""
        about = {event.subject for event in events if event.type != _REJECTED}
        async with translated():
            found = self._referrals.find({"_id": {"$in": sorted(about)}, "partner_id": partner_id})
            known = {document["_id"]: _decoded(document) async for document in found}
            changed: dict[str, KnownReferral] = {}
            for event in events:
                before = changed.get(event.subject) or known.get(event.subject)
                now = after(before, event, partner_id)
                if now is not None and now is not before:
                    changed[event.subject] = now
            await self._save(list(changed.values()))
            rejections = [_rejection(event, partner_id) for event in events if event.type == _REJECTED]
            if rejections:
                await self._rejections.bulk_write(rejections, ordered=False)

    async def _save(self, referrals: Sequence[KnownReferral]) -> None:
        """Replace what is older; what another instance knows better stays."""
        writes = [
            ReplaceOne({"_id": referral.id, "sequence": {"$lt": referral.sequence}}, _encoded(referral), upsert=True)
            for referral in referrals
        ]
        if not writes:
            return
        try:
            await self._referrals.bulk_write(writes, ordered=False)
        except BulkWriteError as error:
            if any(each["code"] != _DUPLICATE_KEY for each in (error.details or {}).get("writeErrors", ())):
                raise

    async def positions(self, partner_id: str) -> Positions:
        """Up to where the queue was noted, by partition; empty where it was never read."""
        async with translated():
            found = await self._positions.find_one({"_id": partner_id})
        return {int(number): offset for number, offset in found["offsets"].items()} if found else {}

    async def keep_positions(self, partner_id: str, positions: Positions) -> None:
        """Remember up to where the queue was noted; never less than before."""
        highest = {f"offsets.{number}": offset for number, offset in positions.items()}
        async with translated():
            await self._positions.update_one({"_id": partner_id}, {"$max": highest}, upsert=True)

    async def begin_anew(self, partner_id: str, positions: Positions) -> None:
        """Go on from these positions, whatever was noted before."""
        oldest = {f"offsets.{number}": offset for number, offset in positions.items()}
        async with translated():
            await self._positions.update_one({"_id": partner_id}, {"$set": oldest}, upsert=True)

    async def referrals(
        self, partner_id: str, *, only_open: bool, after_id: str | None, limit: int
    ) -> list[KnownReferral]:
        """A partner's referrals in the order of their ids."""
        wanted: dict[str, Any] = {"partner_id": partner_id}
        if only_open:
            wanted["is_open"] = True
        if after_id is not None:
            wanted["_id"] = {"$gt": after_id}
        async with translated():
            found = self._referrals.find(wanted).sort("_id", ASCENDING).limit(limit)
            return [_decoded(document) async for document in found]

    async def rejections(self, partner_id: str, *, limit: int) -> list[Mapping[str, Any]]:
        """The latest replies that had no effect: `at` (UTC), and what `reply.rejected` said."""
        async with translated():
            found = self._rejections.find({"partner_id": partner_id}).sort("at", DESCENDING).limit(limit)
            return [{"at": document["at"], **document["said"]} async for document in found]


def _encoded(referral: KnownReferral) -> dict[str, Any]:
    document = referral.model_dump(mode="python", exclude={"id"})
    ends = {} if referral.is_open else {"expires_at": datetime.now(UTC) + KEPT}
    return {"_id": referral.id, **document, "state": referral.state.value, "is_open": referral.is_open, **ends}


def _decoded(document: Mapping[str, Any]) -> KnownReferral:
    return KnownReferral.model_validate({**document, "id": document["_id"]})


def _rejection(event: QueueEvent, partner_id: str) -> UpdateOne:
    at = datetime.fromisoformat(event.attributes["time"])
    content = {"partner_id": partner_id, "at": at, "said": dict(event.data), "expires_at": at + KEPT}
    return UpdateOne({"_id": event.id}, {"$setOnInsert": content}, upsert=True)


async def _create(database: Database) -> None:
    for name in (REFERRALS, REJECTIONS, POSITIONS):
        await ensure_collection(database, name)
    await database[REFERRALS].create_index(
        [("partner_id", ASCENDING), ("is_open", ASCENDING), ("_id", ASCENDING)], name="of-a-partner"
    )
    await database[REJECTIONS].create_index([("partner_id", ASCENDING), ("at", DESCENDING)], name="latest")
    for name in (REFERRALS, REJECTIONS):
        await database[name].create_index("expires_at", name="expires", expireAfterSeconds=0)


MIGRATIONS: Final = (Migration("gateway-knowledge", _create),)
