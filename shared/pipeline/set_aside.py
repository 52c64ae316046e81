"""Records that could not be processed: kept with their bytes, named to the operators, replayed on demand.

The bytes may hold names, so they stay in the service's own collection; the dead-letter topic gets coordinates.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiokafka.structs import ConsumerRecord
from pymongo import ASCENDING

from shared.contracts.base import derived_id
from shared.contracts.codes import SetAsideReason
from shared.migrations import Migration, ensure_collection
from shared.mongo import Database

SET_ASIDE: Final = "set_aside"
OPEN, REPLAYED, DISCARDED = "open", "replayed", "discarded"
KEPT: Final = timedelta(days=90)
"""How long the bytes wait for an operator; they are personal data and not kept for ever."""


def record_id(topic: str, partition: int, offset: int) -> str:
    """The id of a record by its coordinates."""
    return derived_id("record", topic, str(partition), str(offset))


def aside_document(
    record: ConsumerRecord, reason: SetAsideReason, subjects: Collection[str], now: datetime
) -> dict[str, Any]:
    """A record as it is kept: its bytes, where it came from, why it waits and whom it holds up."""
    return {
        "_id": record_id(record.topic, record.partition, record.offset),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": record.key,
        "value": record.value,
        "headers": [[name.encode("utf-8", "surrogateescape"), value] for name, value in record.headers],
        "reason": reason.value,
        "subjects": sorted(subjects),
        "state": OPEN,
        "at": now,
    }


def record_of(document: Mapping[str, Any]) -> ConsumerRecord:
    """The record as it arrived."""
    key, value = document["key"], document["value"]
    return ConsumerRecord(
        topic=document["topic"],
        partition=document["partition"],
        offset=document["offset"],
        timestamp=document["timestamp"],
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key or b""),
        serialized_value_size=len(value or b""),
        headers=tuple((name.decode("utf-8", "surrogateescape"), value) for name, value in document["headers"]),
    )


class SetAside:
    """A service's collection of records set aside."""

    def __init__(self, database: Database) -> None:
        self._collection = database[SET_ASIDE]

    async def blocked(self, subjects: Collection[str]) -> set[str]:
        """Which of these subjects have a record waiting."""
        if not subjects or await self._collection.find_one({"state": OPEN}, {"_id": 1}) is None:
            return set()
        waiting = self._collection.find({"state": OPEN, "subjects": {"$in": list(subjects)}}, {"subjects": 1})
        return {subject async for document in waiting for subject in document["subjects"]}

    async def oldest(self, *, state: str = OPEN, limit: int = 100) -> list[dict[str, Any]]:
        """The oldest of them, without their bytes."""
        hidden = {"key": 0, "value": 0, "headers": 0}
        return [row async for row in self._collection.find({"state": state}, hidden).sort("at", ASCENDING).limit(limit)]

    async def get(self, id_: str) -> dict[str, Any] | None:
        """One of them, with its bytes."""
        document: dict[str, Any] | None = await self._collection.find_one({"_id": id_})
        return document

    async def behind(self, subjects: Sequence[str]) -> list[dict[str, Any]]:
        """What is parked behind these subjects, in the order it arrived."""
        query = {"state": OPEN, "reason": SetAsideReason.PARKED.value, "subjects": {"$in": list(subjects)}}
        return [row async for row in self._collection.find(query).sort([("at", ASCENDING), ("offset", ASCENDING)])]

    async def discard(self, id_: str) -> bool:
        """Give a record up, so that what is parked behind it can be replayed; False where none is open."""
        change = {"$set": {"state": DISCARDED, "at": datetime.now(UTC)}}
        result = await self._collection.update_one({"_id": id_, "state": OPEN}, change)
        return result.modified_count == 1

    async def count_open(self) -> int:
        """How many wait for an operator."""
        return int(await self._collection.count_documents({"state": OPEN}))


async def _create(database: Database) -> None:
    await ensure_collection(database, SET_ASIDE)
    await database[SET_ASIDE].create_index(
        [("state", ASCENDING), ("subjects", ASCENDING)], partialFilterExpression={"state": OPEN}
    )
    await database[SET_ASIDE].create_index("at", expireAfterSeconds=int(KEPT.total_seconds()))


MIGRATIONS: Final = (Migration("pipeline-set-aside", _create),)
