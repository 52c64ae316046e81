"""Where routing keeps its cases: one document per case, with its referrals inside."""

from collections.abc import Collection, Mapping
from typing import Final

from services.routing.domain.case import RoutedCase
from shared.migrations import Migration, ensure_collection
from shared.mongo import Database
from shared.pipeline.states import MongoStates

CASES: Final = "cases"


class RoutedCases(MongoStates[RoutedCase]):
    """The cases, found by their own id or by the id of one of their referrals."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, CASES, RoutedCase)

    async def load(self, keys: Collection[str]) -> Mapping[str, RoutedCase]:
        """The cases these ids lead to, by the id that was asked for."""
        asked = list(keys)
        found = self._collection.find({"$or": [{"_id": {"$in": asked}}, {"referrals.id": {"$in": asked}}]})
        cases = [self.decoded(document) async for document in found]
        ids = {id_: case for case in cases for id_ in self.keys_of(case)}
        return {key: ids[key] for key in asked if key in ids}

    def keys_of(self, state: RoutedCase) -> Collection[str]:
        """A partner names the referral only."""
        return (state.id, *(referral.id for referral in state.referrals))


async def _create(database: Database) -> None:
    await ensure_collection(database, CASES)
    await database[CASES].create_index("referrals.id", name="by_referral")


MIGRATIONS: Final = (Migration("routing-cases", _create),)
