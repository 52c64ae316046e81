"""Records that could not be processed: kept with their bytes, named to the operators, replayed on demand.

The bytes may hold names, so they stay in the service's own collection; the dead-letter topic gets coordinates.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiokafka.structs import ConsumerRecord
from pymongo import ASCENDING, DESCENDING, ReplaceOne

from shared.contracts.base import derived_id
from shared.contracts.codes import SetAsideReason
from shared.migrations import Migration, ensure_collection
from shared.mongo import Database, LostRaceError, RefusedError, Session
from shared.topics import is_from_outside

SET_ASIDE: Final = "set_aside"
OPEN: Final = "open"
REPLAYED: Final = "replayed"
DISCARDED: Final = "discarded"
LARGEST: Final = 12 * 1024 * 1024
"""Bytes of a record that are kept; MongoDB takes documents of up to 16 MiB."""
KEPT: Final = timedelta(days=90)
"""How long the bytes wait for an operator; they are personal data and not kept for ever."""

_HEADER_BYTES: Final = 32
"""What a header takes in a document beside its own bytes."""
_ARRIVAL: Final = [("at", ASCENDING), ("offset", ASCENDING), ("_id", ASCENDING)]
_LATEST: Final = [(name, DESCENDING) for name, _ in _ARRIVAL]
_A_MOMENT: Final = timedelta(milliseconds=1)
"""The least that MongoDB tells apart."""
_WITHOUT_BYTES: Final = {"key": 0, "value": 0, "headers": 0}


def record_id(topic: str, partition: int, offset: int) -> str:
    """The id of a record by its coordinates."""
    return derived_id("record", topic, str(partition), str(offset))


def size_of(record: ConsumerRecord) -> int:
    """Bytes of a record's key, value and headers."""
    size = len(record.key or b"") + len(record.value or b"")
    return size + sum(
        len(name.encode("utf-8", "surrogateescape")) + len(value or b"") for name, value in record.headers
    )


def held_up(topic: str, key: str) -> str:
    """The subject that a record with this key holds up.

    Keys of an outside writer count on its own topic only: a partner that names a referral, its own or another's, must
    not be able to hold up a case, least of all the person's withdrawal, by a reply that we cannot process.
    """
    return f"{topic}/{key}" if is_from_outside(topic) else key


def aside_document(
    record: ConsumerRecord, reason: SetAsideReason, subjects: Collection[str], mark: str, now: datetime
) -> dict[str, Any]:
    """A record as it is kept: its bytes, where it came from, why it waits and whom it holds up.

    `mark` is the inbox's mark it was set aside under, so that its replay is not taken for a repetition.
    """
    headers = [[name.encode("utf-8", "surrogateescape"), value] for name, value in record.headers]
    size = size_of(record)
    if size + _HEADER_BYTES * len(headers) > LARGEST:  # the bytes are on the bus while its retention lasts
        record, headers = replace(record, key=None, value=None), []
    return {
        "_id": record_id(record.topic, record.partition, record.offset),
        "bytes": size,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": record.key,
        "value": record.value,
        "headers": headers,
        "reason": reason.value,
        "subjects": sorted(set(subjects)),
        "mark": mark,
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

    async def store(self, documents: Collection[Mapping[str, Any]], session: Session) -> None:
        """Write these inside the open transaction; raises `RefusedError` for a replay of what was settled meanwhile.

        A record arrives after those of its subjects that wait, whatever the instances' clocks say. It writes to the
        last of them as well: a replay that settles that one at the same time would otherwise leave a parked record
        behind nobody, and nothing would ever take it up.
        """
        own = [document["_id"] for document in documents]
        arrivals: dict[str, datetime] = {}
        operations = []
        for document in documents:
            if document["state"] != OPEN:
                if not await self.settle(document["_id"], document["state"], session):
                    raise RefusedError("the record was settled meanwhile")
                continue
            subjects = document["subjects"]
            ahead = [arrivals[subject] for subject in subjects if subject in arrivals]
            others = [subject for subject in subjects if subject not in arrivals]
            waiting = {"_id": {"$nin": own}, "state": OPEN, "subjects": {"$in": others}}
            if others and (last := await self._written_to(waiting, session)) is not None:
                ahead.append(last["at"])
            if document["reason"] == SetAsideReason.PARKED and not ahead:
                raise LostRaceError("what a record would wait for was settled meanwhile")
            at = max([document["at"], *(earlier + _A_MOMENT for earlier in ahead)])
            arrivals.update(dict.fromkeys(subjects, at))
            operations.append(ReplaceOne({"_id": document["_id"]}, {**document, "at": at}, upsert=True))
        if operations:
            await self._collection.bulk_write(operations, session=session)

    async def _written_to(self, waiting: Mapping[str, Any], session: Session) -> dict[str, Any] | None:
        """The last of these in the order of arrival; who else writes to it now loses or wins against this session."""
        change = {"$inc": {"holds_up": 1}}
        found: dict[str, Any] | None = await self._collection.find_one_and_update(
            waiting, change, {"at": 1}, sort=_LATEST, session=session
        )
        return found

    async def oldest(
        self, *, state: str = OPEN, subjects: Collection[str] | None = None, skip: int = 0, limit: int = 100
    ) -> list[dict[str, Any]]:
        """The oldest of them, without their bytes; only those that hold up one of `subjects` where some are given.

        `skip` passes over so many of the oldest.
        """
        query: dict[str, Any] = {"state": state}
        if subjects is not None:
            query["subjects"] = {"$in": list(subjects)}
        found = self._collection.find(query, _WITHOUT_BYTES).sort(_ARRIVAL).skip(skip).limit(limit)
        return [row async for row in found]

    async def get(self, id_: str) -> dict[str, Any] | None:
        """One of them, with its bytes."""
        document: dict[str, Any] | None = await self._collection.find_one({"_id": id_})
        return document

    async def ahead_of(self, document: Mapping[str, Any]) -> str | None:
        """The id of the record that holds this one up; None where it is the first of its subjects."""
        waiting = {"state": OPEN, "subjects": {"$in": document["subjects"]}}
        first = await self._collection.find_one(waiting, {"_id": 1}, sort=_ARRIVAL)
        return None if first is None or first["_id"] == document["_id"] else str(first["_id"])

    async def next_parked(self, subjects: Collection[str]) -> dict[str, Any] | None:
        """The oldest record that is parked behind these subjects and held up by no other."""
        query = {"state": OPEN, "reason": SetAsideReason.PARKED.value, "subjects": {"$in": list(subjects)}}
        async for candidate in self._collection.find(query, {"subjects": 1}).sort(_ARRIVAL):
            if await self.ahead_of(candidate) is None:
                return await self.get(candidate["_id"])
        return None

    async def fail(self, document: Mapping[str, Any]) -> None:
        """A parked record whose turn it was could not be processed itself: it waits no longer for others, and holds up
        only what its own writer may hold up."""
        topic, subjects = document["topic"], document["subjects"]
        if is_from_outside(topic):
            subjects = [subject for subject in subjects if subject.startswith(f"{topic}/")]
        change = {"reason": SetAsideReason.HANDLER_FAILED.value, "subjects": subjects}
        await self._collection.update_one({"_id": document["_id"], "state": OPEN}, {"$set": change})

    async def settle(self, id_: str, state: str, session: Session | None = None) -> bool:
        """End the waiting of a record as replayed or discarded; False where none is open."""
        change = {"$set": {"state": state, "subjects": [], "at": datetime.now(UTC)}}
        result = await self._collection.update_one({"_id": id_, "state": OPEN}, change, session=session)
        return result.modified_count == 1


async def _create(database: Database) -> None:
    await ensure_collection(database, SET_ASIDE)
    await database[SET_ASIDE].create_index(
        [("state", ASCENDING), ("subjects", ASCENDING)], partialFilterExpression={"state": OPEN}
    )
    await database[SET_ASIDE].create_index("at", expireAfterSeconds=int(KEPT.total_seconds()))


MIGRATIONS: Final = (Migration("pipeline-set-aside", _create),)
