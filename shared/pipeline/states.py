"""The base of every service's repository: one document per case, guarded by its version."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Generic

from pymongo import InsertOne, ReplaceOne

from shared.mongo import Database, LostRaceError, Session
from shared.pipeline.decisions import S


class MongoStates(Generic[S]):
    """States of type `model` in `collection`; a subclass adds its own queries and what else a state brings along."""

    def __init__(self, database: Database, collection: str, model: type[S]) -> None:
        self._database = database
        self._collection = database[collection]
        self._model = model

    def decoded(self, document: Mapping[str, Any]) -> S:
        """The state that a stored document holds."""
        fields = {("id" if name == "_id" else name): value for name, value in document.items()}
        return self._model.model_validate(fields)

    def encoded(self, state: S) -> dict[str, Any]:
        """The document that a state is stored as; enumerations and sets become plain values."""
        document = state.model_dump(mode="python", exclude={"id"})
        document["_id"] = state.id
        return document

    async def load(self, keys: Collection[str]) -> Mapping[str, S]:
        """The states of these cases, by id."""
        found = self._collection.find({"_id": {"$in": list(keys)}})
        return {document["_id"]: self.decoded(document) async for document in found}

    def keys_of(self, state: S) -> Collection[str]:
        """A case is found by its own id alone."""
        return (state.id,)

    async def save(self, states: Sequence[tuple[int, S]], session: Session) -> None:
        """Insert what is new, replace what still has the version it was loaded with; else `LostRaceError`."""
        operations = [
            ReplaceOne({"_id": state.id, "version": loaded}, self.encoded(state))
            if loaded
            else InsertOne(self.encoded(state))
            for loaded, state in states
        ]
        result = await self._collection.bulk_write(operations, ordered=False, session=session)
        if result.inserted_count + result.matched_count != len(operations):
            raise LostRaceError("a state was changed by another writer")
