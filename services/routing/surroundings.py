"""What attempts see beside the case, read from the database as rarely as it may be."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol

import structlog
from pydantic import ValidationError

from services.routing.domain.agreement import Agreements, Turn
from services.routing.domain.capacity import PartnerCapacity
from services.routing.domain.situation import Situation
from shared.mongo import Database
from shared.pipeline.engine import utc_now
from shared.pipeline.states import MongoStates

log = structlog.get_logger()

CASES: Final = "cases"
CAPACITIES: Final = "capacities"
TAKEN_PLACES: Final = "taken_places"
"""Places of limited reports that a referral takes up; a document each, so that nobody waits for a common one."""

_FRESH: Final = 1.0
"""Seconds: how old capacity and load may be; terms of the agreement never change for days that have begun."""


class AgreementSource(Protocol):
    """Where the terms of the agreement are kept."""

    async def all(self) -> Agreements:
        """Every version that was activated; the same object while nothing was."""
        ...


class Surroundings:
    """Agreement, capacity and load, as the newest `situation`."""

    def __init__(self, database: Database, agreements: AgreementSource) -> None:
        self._database = database
        self._capacities = MongoStates(database, CAPACITIES, PartnerCapacity)
        self._agreements = agreements
        self._seen_at: float | None = None
        self._reports: list[PartnerCapacity] = []
        self._loads: dict[str, int] = {}
        self._asked: Counter[str] = Counter()
        """Who was asked since the loads were read."""
        self.situation = Situation(Agreements())

    @property
    def counts_places(self) -> bool:
        """Whether a report limits what a partner takes."""
        return any(report.places is not None for report in self._reports)

    def outdate(self) -> None:
        """Something was reported: look again at once."""
        self._seen_at = None

    async def look(self) -> None:
        """Renew the situation. Places of limited reports are counted every time, the rest once a second."""
        now, tick = utc_now(), time.monotonic()  # the second knows no steps of the system's clock
        agreements = self.situation.agreements
        if self._seen_at is None or tick - self._seen_at > _FRESH or not agreements.terms:
            agreements, self._reports = await asyncio.gather(self._agreements.all(), self._valid_reports(now))
            self._loads, self._asked = await self._loads_of(agreements), Counter()
            self._seen_at = tick
        used = await self._used_places()
        rooms = {
            (report.partner_id, report.code): report.room(used[report.report])
            for report in self._reports
            if report.expires_at > now
        }
        self.situation = Situation(agreements, rooms, self._loads, self._asked)

    async def _valid_reports(self, now: datetime) -> list[PartnerCapacity]:
        found = self._database[CAPACITIES].find({"expires_at": {"$gt": now}})
        return [report async for document in found if (report := self._readable(document))]

    def _readable(self, document: Mapping[str, Any]) -> PartnerCapacity | None:
        """The report; None where a newer version wrote something this one does not know: nobody waits for it."""
        try:
            return self._capacities.decoded(document)
        except ValidationError:
            log.warning("capacity_unreadable", id=document["_id"])
            return None

    async def _used_places(self) -> Counter[str]:
        if not self.counts_places:
            return Counter()
        limited = [report.report for report in self._reports if report.places is not None]
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
