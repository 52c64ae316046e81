"""Cases with their messages in MongoDB."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import structlog
from pydantic import ValidationError
from pymongo import ASCENDING

from services.notify.domain import NotifiedCase
from shared.migrations import Migration, ensure_collection
from shared.mongo import Database, translated
from shared.pipeline.states import MongoStates

log = structlog.get_logger()

CASES: Final = "cases"


class NotifiedCases(MongoStates[NotifiedCase]):
    """The cases, and which of them need something; `next_at` stands only where one does, so its index stays small."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, CASES, NotifiedCase)

    def encoded(self, state: NotifiedCase) -> dict[str, Any]:
        """The document, with the moment at which a message needs something next."""
        document = super().encoded(state)
        document.pop("next_at", None)  # as it was loaded
        return {**document, "next_at": state.next_at} if state.next_at else document

    async def due(self, now: datetime, *, at_most: int) -> Sequence[NotifiedCase]:
        """The cases with something to do, the longest waiting first."""
        async with translated():
            found = self._collection.find({"next_at": {"$lte": now}}).sort("next_at", ASCENDING).limit(at_most)
            return [case async for document in found if (case := self._readable(document))]

    async def open(self) -> AsyncIterator[NotifiedCase]:
        """All cases with something to do, now or later."""
        async with translated():
            async for document in self._collection.find({"next_at": {"$exists": True}}):
                if case := self._readable(document):
                    yield case

    def _readable(self, document: Mapping[str, Any]) -> NotifiedCase | None:
        """None where only a newer version of the service understands the case; that one takes care of it."""
        try:
            return self.decoded(document)
        except ValidationError:
            log.warning("case_unreadable", case_id=document["_id"])
            return None


async def _create(database: Database) -> None:
    await ensure_collection(database, CASES)
    await database[CASES].create_index("next_at", name="due", sparse=True)


MIGRATIONS: Final = (Migration("notify-cases", _create),)
