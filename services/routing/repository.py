"""Where routing keeps its cases: one document per case, with its referrals inside; and what it looks at beside them."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from pydantic import TypeAdapter
from pymongo import ASCENDING, UpdateOne

from services.routing.domain.agreement import OFFICE
from services.routing.domain.capacity import SEPARATOR, PartnerCapacity
from services.routing.domain.case import KEPT, RoutedCase
from services.routing.domain.explanation import Explanation
from services.routing.domain.simulation import REPLAYED, Recorded
from services.routing.domain.situation import Situation
from services.routing.surroundings import CAPACITIES, CASES, TAKEN_PLACES, AgreementSource, Surroundings
from shared.contracts.codes import CaseState
from shared.days import local_day
from shared.migrations import Migration, ensure_collection
from shared.mongo import Database, Session, translated
from shared.pipeline.engine import utc_now
from shared.pipeline.outbox import OUTBOX
from shared.pipeline.states import MongoStates

EXPLANATIONS: Final = "explanations"
NOTICES: Final = "notices"
"""Warnings that were told, for ever."""

_A_DAY: Final = timedelta(days=1)
_AT_ONCE: Final = 1000
"""Recorded cases that are in memory at a time."""
_OF_A_CASE: Final = {"facts": 1, **{f"referrals.{name}": 1 for name in REPLAYED}}
_EXPLANATION: Final = TypeAdapter(Explanation)
_LONGEST_REPORT: Final = 367 * 24 * 60 * 60
DERIVED: Final = ("next_due", "open_with", "clearing_since", "kept_until")
"""What is written beside a case to find it by, and is not read back."""


@dataclass(frozen=True, slots=True)
class Due:
    """A case with a clock that has run out, and how far its events are numbered."""

    case_id: str
    sequence: int
    correlation_id: str
    traceparent: str


class RoutedCases:
    """The cases, found by their own id or by the id of one of their referrals, and the partners' capacities, found by
    partner and field. Each load renews the `situation` that decisions of the same attempt look at."""

    def __init__(self, database: Database, agreements: AgreementSource) -> None:
        self._database = database
        self._cases = CaseDocuments(database)
        self._capacities = MongoStates(database, CAPACITIES, PartnerCapacity)
        self.surroundings = Surroundings(database, agreements)

    @property
    def situation(self) -> Situation:
        """What decisions see beside the case."""
        return self.surroundings.situation

    async def load(self, keys: Collection[str]) -> Mapping[str, RoutedCase | PartnerCapacity]:
        """The cases and capacities these ids lead to, by the id that was asked for."""
        fields = [key for key in keys if SEPARATOR in key]
        ids = [key for key in keys if SEPARATOR not in key]
        cases, _ = await asyncio.gather(self._cases.load(ids), self.surroundings.look())
        return {**cases, **(await self._capacities.load(fields) if fields else {})}

    def keys_of(self, state: RoutedCase | PartnerCapacity) -> Collection[str]:
        """A partner names the referral only."""
        return self._cases.keys_of(state) if isinstance(state, RoutedCase) else (state.id,)

    async def save(self, states: Sequence[tuple[int, RoutedCase | PartnerCapacity]], session: Session) -> None:
        """Write the states, and what the cases bring along, in the same transaction."""
        cases = [(loaded, state) for loaded, state in states if isinstance(state, RoutedCase)]
        reports = [(loaded, state) for loaded, state in states if isinstance(state, PartnerCapacity)]
        if cases:
            await self._cases.save(cases, session)
            await self._note_beside([case for _, case in cases], session)
        if reports:
            await self._capacities.save(reports, session)
            self.surroundings.outdate()

    async def _note_beside(self, cases: Sequence[RoutedCase], session: Session) -> None:
        if explained := [_document(why) for case in cases for why in case.explained]:
            await self._database[EXPLANATIONS].insert_many(explained, ordered=False, session=session)
        places = self._database[TAKEN_PLACES]
        # A referral that ends and is reopened in one batch may have the place it takes.
        if taken := [_takes(*place, at=utc_now()) for case in cases for place in case.taken]:
            await places.bulk_write(taken, ordered=False, session=session)
        ended = [r.id for case in cases for r in case.referrals if r.partner_id and not r.is_open]
        if ended:
            await places.delete_many({"referral_id": {"$in": ended}}, session=session)

    async def get(self, id_: str) -> RoutedCase | None:
        """The case of this id, or with a referral of this id."""
        async with translated():
            return (await self._cases.load([id_])).get(id_)

    async def capacities(self) -> list[PartnerCapacity]:
        """What the partners reported last, by partner and field; also what no longer counts."""
        async with translated():
            found = self._database[CAPACITIES].find().sort("_id", ASCENDING)
            return [self._capacities.decoded(document) async for document in found]

    async def due(self, now: datetime, at_most: int, *, but: Sequence[str] = ()) -> list[Due]:
        """Cases with a clock that has run out, the longest due first."""
        wanted = {"sequence": 1, "correlation_id": 1, "traceparent": 1}
        query = self._database[CASES].find({"next_due": {"$lte": now}, "_id": {"$nin": list(but)}}, wanted)
        async with translated():
            found = await query.sort("next_due", ASCENDING).limit(at_most).to_list(None)
        return [
            Due(*(document[name] for name in ("_id", "sequence", "correlation_id", "traceparent")))
            for document in found
        ]

    async def explanations(self, case_id: str, referral_id: str) -> list[dict[str, Any]]:
        """Why a referral is where it is: one document when it was made, another when the office assigned it."""
        within = {"$gte": f"{case_id}/{referral_id}/", "$lt": f"{case_id}/{referral_id}0"}
        async with translated():
            return [document async for document in self._database[EXPLANATIONS].find({"_id": within}).sort("step", 1)]

    async def recorded(self, first: date, last: date) -> AsyncIterator[Recorded]:
        """All cases received on these days in the district, oldest first."""
        # Moments are kept as text, in the zone they came in: the query takes a day more on both sides.
        received = {"$gte": str(first - _A_DAY), "$lt": str(last + 2 * _A_DAY)}
        found = self._database[CASES].find({"facts.received_at": received}, _OF_A_CASE, batch_size=_AT_ONCE)
        found.sort("facts.received_at", ASCENDING)
        async with translated():
            ahead = found.to_list(_AT_ONCE)
            while some := await ahead:
                ahead = found.to_list(_AT_ONCE)  # fetched while these are looked at
                for number, case in enumerate(some):
                    if number % 100 == 0:
                        await asyncio.sleep(0)  # the one who looks at them never waits
                    day = local_day(datetime.fromisoformat(case["facts"]["received_at"]))
                    if first <= day <= last:
                        yield Recorded(day, case)

    async def forget(self, now: datetime) -> int:
        """Delete cases whose time is over, with their explanations; returns how many."""
        cases = self._database[CASES]
        async with translated():
            over = [document async for document in cases.find({"kept_until": {"$lte": now}}, {"version": 1}).limit(500)]
            for document in over:
                within = {"$gte": f"{document['_id']}/", "$lt": f"{document['_id']}0"}
                await self._database[EXPLANATIONS].delete_many({"_id": within})
                await self._database[OUTBOX].delete_many({"stream": document["_id"], "unsent": {"$exists": False}})
                await cases.delete_one({"_id": document["_id"], "version": document["version"]})
        return len(over)


class CaseDocuments(MongoStates[RoutedCase]):
    """The documents of the cases."""

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

    def decoded(self, document: Mapping[str, Any]) -> RoutedCase:
        """The case, without what is only there to find it by."""
        return super().decoded({name: value for name, value in document.items() if name not in DERIVED})

    def encoded(self, state: RoutedCase) -> dict[str, Any]:
        """The document, with what it is to be found by; absent where there is nothing to find."""
        document = super().encoded(state)
        found_by: dict[str, Any] = {"next_due": state.next_due}
        found_by["open_with"] = sorted({referral.partner_id or OFFICE for referral in state.open_referrals})
        found_by["clearing_since"] = state.clearing_since
        if state.state in (CaseState.SETTLED, CaseState.WITHDRAWN):
            found_by["kept_until"] = max(referral.since for referral in state.referrals) + KEPT
        return document | {name: value for name, value in found_by.items() if value}


def _document(why: Explanation) -> dict[str, Any]:
    return {"_id": f"{why.case_id}/{why.referral_id}/{why.step}", **_EXPLANATION.dump_python(why)}


def _takes(report: str, referral_id: str, *, at: datetime) -> UpdateOne:
    place = {"report": report, "referral_id": referral_id, "at": at}
    return UpdateOne({"_id": f"{report}/{referral_id}"}, {"$set": place}, upsert=True)


async def _create(database: Database) -> None:
    await ensure_collection(database, CASES)
    await database[CASES].create_index("referrals.id", name="by_referral")


async def _create_for_the_whole_life(database: Database) -> None:
    for name in (CAPACITIES, TAKEN_PLACES, EXPLANATIONS, NOTICES):
        await ensure_collection(database, name)
    cases = database[CASES]
    for name in ("next_due", "clearing_since", "kept_until"):
        await cases.create_index([(name, ASCENDING)], partialFilterExpression={name: {"$exists": True}})
    await cases.create_index([("open_with", ASCENDING)])
    await cases.create_index([("facts.received_at", ASCENDING)])
    await database[TAKEN_PLACES].create_index([("report", ASCENDING)])
    await database[TAKEN_PLACES].create_index([("at", ASCENDING)], expireAfterSeconds=_LONGEST_REPORT)
    await database[TAKEN_PLACES].create_index([("referral_id", ASCENDING)])


MIGRATIONS: Final = (
    Migration("routing-cases", _create),
    Migration("routing-life", _create_for_the_whole_life),
)
