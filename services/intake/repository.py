"""Intake's collections: cases in codes, persons with their names, notes, and what makes a request happen once."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, InsertOne, UpdateOne

from services.intake.domain.cases import IntakeCase
from services.intake.domain.persons import Record
from shared.days import local_day
from shared.migrations import Migration, ensure_collection
from shared.mongo import Database, Session, translated
from shared.pipeline.states import MongoStates

CASES: Final = "cases"
PERSONS: Final = "persons"
NOTES: Final = "notes"
"""What the staff wrote about a case: free text as in the vault, and to be erased together with its persons."""
COUNTERS: Final = "counters"
REQUESTS: Final = "requests"
"""Idempotency keys, for a day."""
SOURCES: Final = "sources"
"""References of the sending systems, for ever: an import may be repeated years later."""

Position = tuple[datetime, str]
"""Where a page ends: when its last case was received, or its last note written, and the id of that."""

_KEY_SECONDS: Final = 24 * 60 * 60


class Cases(MongoStates[IntakeCase]):
    """The cases; what changes with one in the vault and among the notes is brought along."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, CASES, IntakeCase)
        self._persons = database[PERSONS]
        self._notes = database[NOTES]

    async def save(self, states: Sequence[tuple[int, IntakeCase]], session: Session) -> None:
        """Write the states and, in the same transaction, what they bring along."""
        await super().save(states, session)
        inserts = [InsertOne(record) for _, case in states for record in case.new_records]
        changes = [_change(record) for _, case in states for record in case.changed_records]
        if inserts or changes:
            await self._persons.bulk_write([*inserts, *changes], session=session)
        if notes := [note for _, case in states for note in case.new_notes]:
            await self._notes.insert_many(notes, session=session)

    async def get(self, case_id: str) -> IntakeCase | None:
        """One case."""
        async with translated():
            return (await self.load([case_id])).get(case_id)

    async def page(
        self,
        *,
        referrer: str | None,
        organisation: str | None,
        source_reference: str | None,
        after: Position | None,
        limit: int,
    ) -> list[IntakeCase]:
        """Cases of a referrer or with a reference, newest first, after a position; of one organisation, if named."""
        query: dict[str, Any] = {}
        if referrer is not None:
            query["referrer.staff_id"] = referrer
        if organisation is not None:
            query["referrer.organisation"] = organisation
        if source_reference is not None:
            query["source_reference"] = source_reference
        if after is not None:
            received_at, case_id = after
            query["$or"] = [
                {"received_at": {"$lt": received_at}},
                {"received_at": received_at, "_id": {"$lt": case_id}},
            ]
        newest_first = [("received_at", DESCENDING), ("_id", DESCENDING)]
        async with translated():
            found = self._collection.find(query).sort(newest_first).limit(limit)
            return [self.decoded(document) async for document in found]


class Persons:
    """The vault's reading side."""

    def __init__(self, database: Database) -> None:
        self._collection = database[PERSONS]

    async def batch_get(self, person_ids: Collection[str]) -> list[Record]:
        """The groups that a message needs, of the persons that are known."""
        groups = {"identity": 1, "contact": 1, "languages": 1}
        async with translated():
            return [record async for record in self._collection.find({"_id": {"$in": list(person_ids)}}, groups)]


class Notes:
    """The reading side of the notes."""

    def __init__(self, database: Database) -> None:
        self._collection = database[NOTES]

    async def page(self, case_id: str, *, after: Position | None, limit: int) -> list[Record]:
        """The notes about a case, newest last, after a position."""
        query: dict[str, Any] = {"case_id": case_id}
        if after is not None:
            written_at, note_id = after
            query["$or"] = [{"written_at": {"$gt": written_at}}, {"written_at": written_at, "_id": {"$gt": note_id}}]
        newest_last = [("written_at", ASCENDING), ("_id", ASCENDING)]
        async with translated():
            return [note async for note in self._collection.find(query).sort(newest_last).limit(limit)]


class Counters:
    """Figures without persons, a document a month."""

    def __init__(self, database: Database) -> None:
        self._collection = database[COUNTERS]

    async def count_redirected(self, now: datetime) -> None:
        """Somebody was pointed to the own social worker; all that stays of an asylum question."""
        month = f"{local_day(now):%Y-%m}"
        async with translated():
            await self._collection.update_one(
                {"_id": f"asylum-redirected:{month}"}, {"$inc": {"count": 1}}, upsert=True
            )


def _change(record: Record) -> UpdateOne:
    fields = {name: value for name, value in record.items() if name != "_id"}
    return UpdateOne({"_id": record["_id"]}, {"$set": fields})


async def _create(database: Database) -> None:
    for name in (CASES, PERSONS, COUNTERS, REQUESTS, SOURCES):
        await ensure_collection(database, name)
    newest_first = [("received_at", DESCENDING), ("_id", DESCENDING)]
    await database[CASES].create_index([("referrer.staff_id", ASCENDING), *newest_first])
    await database[CASES].create_index([("source_reference", ASCENDING), *newest_first])
    await database[PERSONS].create_index([("case_id", ASCENDING)])
    await database[REQUESTS].create_index([("at", ASCENDING)], expireAfterSeconds=_KEY_SECONDS)


async def _index_organisations(database: Database) -> None:
    """Two organisations may give their staff the same ids."""
    staff = [("referrer.staff_id", ASCENDING), ("referrer.organisation", ASCENDING)]
    await database[CASES].create_index([*staff, ("received_at", DESCENDING), ("_id", DESCENDING)])


async def _create_notes(database: Database) -> None:
    await ensure_collection(database, NOTES)
    await database[NOTES].create_index([("case_id", ASCENDING), ("written_at", ASCENDING), ("_id", ASCENDING)])


MIGRATIONS: Final = (
    Migration("intake-collections", _create),
    Migration("intake-cases-by-organisation", _index_organisations),
    Migration("intake-notes", _create_notes),
)
