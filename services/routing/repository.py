"""Where routing keeps its cases: one document per case, with its referrals inside; and what it looks at beside them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Final, Protocol

from pymongo import ASCENDING

from services.routing.domain.agreement import OFFICE, Agreements, Turn
from services.routing.domain.capacity import SEPARATOR, PartnerCapacity
from services.routing.domain.case import RoutedCase
from services.routing.domain.explanation import Explanation
from services.routing.domain.situation import Situation
from shared.contracts.codes import CaseState
from shared.migrations import Migration, ensure_collection
from shared.mongo import Database, Session, translated
from shared.pipeline.engine import utc_now
from shared.pipeline.states import MongoStates

CASES: Final = "cases"
CAPACITIES: Final = "capacities"
TAKEN_PLACES: Final = "taken_places"
"""Places of limited reports that a referral takes up; a document each, so that nobody waits for a common one."""
EXPLANATIONS: Final = "explanations"
NOTICES: Final = "notices"
"""Warnings that were told, for ever."""

KEPT: Final = timedelta(days=3 * 365)
"""How long a case's codes are kept after its end: a term of the agreement, and the review that follows it."""
_FRESH: Final = 1.0
"""Seconds; how old capacity and load may be; terms of the agreement never change for days that have begun."""
_DERIVED: Final = ("next_due", "open_with", "clearing_since", "kept_until")
"""What is written beside a case to find it by, and is not read back."""


class AgreementSource(Protocol):
    """Where the terms of the agreement are kept."""

    async def all(self) -> Agreements:
        """Every version that was activated; the same object while nothing was."""
        ...


class RoutedCases:
    """The cases, found by their own id or by the id of one of their referrals, and the partners' capacities, found by
    partner and field. Each load renews the `situation`, which decisions of the same attempt look at."""

    def __init__(self, database: Database, agreements: AgreementSource) -> None:
        self._database = database
        self._cases = CaseDocuments(database)
        self._capacities = MongoStates(database, CAPACITIES, PartnerCapacity)
        self._agreements = agreements
        self._looks_at = 0.0
        self._reports: list[PartnerCapacity] = []
        self._loads: dict[str, int] = {}
        self.situation = Situation(Agreements())

    async def load(self, keys: Collection[str]) -> Mapping[str, RoutedCase | PartnerCapacity]:
        """The cases and capacities these ids lead to, by the id that was asked for."""
        fields = [key for key in keys if SEPARATOR in key]
        ids = [key for key in keys if SEPARATOR not in key]
        cases, _ = await asyncio.gather(self._cases.load(ids), self._look_around())
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
            self._looks_at = 0.0

    async def _note_beside(self, cases: Sequence[RoutedCase], session: Session) -> None:
        if explained := [_document(why) for case in cases for why in case.explained]:
            await self._database[EXPLANATIONS].insert_many(explained, ordered=False, session=session)
        places = self._database[TAKEN_PLACES]
        if taken := [_place(report, referral) for case in cases for report, referral in case.taken]:
            await places.insert_many(taken, ordered=False, session=session)
        ended = [r.id for case in cases for r in case.referrals if r.partner_id and not r.is_open]
        if ended and any(report.places is not None for report in self._reports):
            await places.delete_many({"referral_id": {"$in": ended}}, session=session)

    async def _look_around(self) -> None:
        """Renew what an attempt sees. Places of limited reports are counted every time, the rest once a second."""
        now = utc_now()
        if monotonic() >= self._looks_at:
            agreements, self._reports = await asyncio.gather(self._agreements.all(), self._valid_reports(now))
            self._loads = await self._loads_of(agreements)
            self._looks_at = monotonic() + _FRESH
        else:
            agreements = self.situation.agreements
        used = await self._used_places()
        rooms = {
            (report.partner_id, report.code): report.room(used[report.report])
            for report in self._reports
            if report.expires_at > now
        }
        self.situation = Situation(agreements, rooms, self._loads)

    async def _valid_reports(self, now: datetime) -> list[PartnerCapacity]:
        found = self._database[CAPACITIES].find({"expires_at": {"$gt": now}})
        return [self._capacities.decoded(document) async for document in found]

    async def _used_places(self) -> Counter[str]:
        limited = [report.report for report in self._reports if report.places is not None]
        if not limited:
            return Counter()
        counted = self._database[TAKEN_PLACES].aggregate(
            [{"$match": {"report": {"$in": limited}}}, {"$group": {"_id": "$report", "used": {"$sum": 1}}}]
        )
        return Counter({row["_id"]: row["used"] async for row in counted})

    async def _loads_of(self, agreements: Agreements) -> dict[str, int]:
        """Open referrals of everybody that a rule chooses by load."""
        takers = {
            taker for term in agreements for rule in term.rules if Turn.LOAD in rule.turn for taker in rule.takers
        }
        cases = self._database[CASES]
        counts = await asyncio.gather(*(cases.count_documents({"open_with": taker}) for taker in takers))
        return dict(zip(takers, counts, strict=True))

    async def agreements(self) -> Agreements:
        """All terms as they are now."""
        return await self._agreements.all()

    async def get(self, id_: str) -> RoutedCase | None:
        """The case of this id, or with a referral of this id."""
        async with translated():
            return (await self._cases.load([id_])).get(id_)

    async def due(self, now: datetime, at_most: int, *, but: Sequence[str] = ()) -> list[RoutedCase]:
        """Cases with a clock that has run out, the longest due first; all of them where `at_most` is 0."""
        query = self._database[CASES].find({"next_due": {"$lte": now}, "_id": {"$nin": list(but)}})
        async with translated():
            found = await query.sort("next_due", ASCENDING).limit(at_most).to_list(None)
        return [self._cases.decoded(document) for document in found]

    async def explanations(self, case_id: str, referral_id: str) -> list[dict[str, Any]]:
        """Why a referral is where it is: one document when it was made, another when the office assigned it."""
        within = {"$gte": f"{case_id}/{referral_id}/", "$lt": f"{case_id}/{referral_id}0"}
        async with translated():
            return [document async for document in self._database[EXPLANATIONS].find({"_id": within}).sort("_id", 1)]

    async def recorded(self, first: datetime, last: datetime) -> AsyncIterator[Mapping[str, Any]]:
        """The documents of all cases received from `first` to before `last`, oldest first."""
        received = {"$gte": _as_kept(first), "$lt": _as_kept(last)}
        async with translated():
            async for document in (
                self._database[CASES].find({"facts.received_at": received}).sort("facts.received_at", ASCENDING)
            ):
                yield document

    async def forget(self, now: datetime) -> int:
        """Delete cases whose time is over, with their explanations; returns how many."""
        cases = self._database[CASES]
        async with translated():
            over = [document async for document in cases.find({"kept_until": {"$lte": now}}, {"version": 1}).limit(500)]
            for document in over:
                within = {"$gte": f"{document['_id']}/", "$lt": f"{document['_id']}0"}
                await self._database[EXPLANATIONS].delete_many({"_id": within})
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
        return super().decoded({name: value for name, value in document.items() if name not in _DERIVED})

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
    made = asdict(why)
    return {"_id": f"{why.case_id}/{why.referral_id}/{why.at.isoformat()}", **made}


def _place(report: str, referral_id: str) -> dict[str, str]:
    return {"_id": f"{report}/{referral_id}", "report": report, "referral_id": referral_id}


def _as_kept(moment: datetime) -> str:
    """A bound for moments that are kept as text: cut before the zone, it lies before each moment of that second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


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
    await database[TAKEN_PLACES].create_index([("referral_id", ASCENDING)])


MIGRATIONS: Final = (
    Migration("routing-cases", _create),
    Migration("routing-life", _create_for_the_whole_life),
)
