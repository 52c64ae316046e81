"""Cases and allocations in MongoDB. An allocation is one seat of one resource at one start; its unique index is the
truth about what is free, everything else only a good guess.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from pymongo import ASCENDING
from pymongo.errors import PyMongoError

from services.scheduling.domain.cases import Appointment, ScheduledCase
from services.scheduling.domain.slots import Calendar, Search
from services.scheduling.domain.timetable import Timetable
from shared.migrations import Migration, ensure_collection
from shared.mongo import Database, Session
from shared.pipeline.engine import utc_now
from shared.pipeline.states import MongoStates

log = structlog.get_logger()

CASES: Final = "cases"
ALLOCATIONS: Final = "allocations"
_SLOT: Final = ("resource_id", "starts_at", "seat")

_Taken = dict[tuple[str, datetime], set[int]]


class ScheduledCases(MongoStates[ScheduledCase]):
    """Knows every case: one without appointments comes back empty, so that each has the calendar of this attempt."""

    MEMORY: Final = timedelta(minutes=1)
    """How long it is believed that nothing is free before a partner's first free slot; a slot given back earlier than
    that is found again after this time."""
    MOST_SETBACKS: Final = 8

    def __init__(self, database: Database, timetable: Timetable, *, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(database, CASES, ScheduledCase)
        self._allocations = database[ALLOCATIONS]
        self._timetable = timetable
        self._clock = clock
        self._forget_at = clock() + self.MEMORY
        self._first_free: dict[str, datetime | None] = {}
        self._setbacks = 0

    async def load(self, keys: Collection[str]) -> Mapping[str, ScheduledCase]:
        """All of these cases, sharing one calendar that holds a free slot for each."""
        known, calendar = await asyncio.gather(super().load(keys), self._calendar(len(keys)))
        found = (known.get(key) or ScheduledCase(id=key) for key in keys)
        return {
            case.id: case.model_copy(update={"calendar": calendar, "allocated": frozenset(case.standing)})
            for case in found
        }

    async def save(self, states: Sequence[tuple[int, ScheduledCase]], session: Session) -> None:
        """Write the cases, give back and take their slots; a slot that somebody else took loses the race."""
        freed = [id_ for _, case in states for id_ in case.allocated - case.standing.keys()]
        if freed:
            await self._allocations.delete_many({"_id": {"$in": freed}}, session=session)
        seated = [(loaded, await self._seated(case, session)) for loaded, case in states]
        await super().save(seated, session)
        taken = [
            _allocation(case.id, appointment)
            for _, case in seated
            for id_, appointment in case.standing.items()
            if id_ not in case.allocated
        ]
        if taken:
            await self._allocate(taken, session)

    async def _seated(self, case: ScheduledCase, session: Session) -> ScheduledCase:
        """The case with a seat for each appointment taken over; held at once, so that the next finds another."""
        standing = case.standing
        found = {
            id_: await self._with_seat(case.id, standing[id_], session)
            for id_ in standing.keys() - case.allocated
            if standing[id_].resource_id is None
        }
        if not found:
            return case
        appointments = tuple(found.get(appointment.id, appointment) for appointment in case.appointments)
        return case.model_copy(update={"appointments": appointments, "allocated": case.allocated | found.keys()})

    async def _with_seat(self, case_id: str, appointment: Appointment, session: Session) -> Appointment:
        starts_at = appointment.starts_at
        resources = self._timetable.open_at(starts_at, appointment.partner_id, appointment.place)
        query = {"resource_id": {"$in": [resource.id for resource in resources]}, "starts_at": starts_at}
        taken = {(row["resource_id"], row["seat"]) async for row in self._allocations.find(query, session=session)}
        free = ((resource.id, seat) for resource in resources for seat in range(resource.seats))
        resource_id, seat = next((slot for slot in free if slot not in taken), (None, None))
        if resource_id is None:
            log.warning("appointment_without_seat", appointment_id=appointment.id, case_id=case_id)
            return appointment
        seated = appointment.model_copy(update={"resource_id": resource_id, "seat": seat})
        await self._allocate([_allocation(case_id, seated)], session)
        return seated

    async def _allocate(self, taken: Sequence[dict[str, Any]], session: Session) -> None:
        try:
            await self._allocations.insert_many(taken, ordered=False, session=session)
        except PyMongoError:
            self._setbacks = min(self._setbacks + 1, self.MOST_SETBACKS)
            raise

    async def _calendar(self, wanted: int) -> Calendar:
        """The free slots of every partner, looked up as far as `wanted` bookings need.

        Two instances would for ever reach for the same first slots: one that lost a race steps over as many as it
        wants, once for each race lost within the last minute.
        """
        now = self._clock()
        if now >= self._forget_at:
            self._forget_at = now + self.MEMORY
            self._first_free.clear()
            self._setbacks = 0
        skip = self._setbacks * wanted
        searches = {
            partner: Search(openings, self._first_free.get(partner), wanted + skip)
            for partner, openings in self._timetable.openings(now).items()
        }
        taken: _Taken = {}
        while windows := {partner: window for partner, search in searches.items() if (window := search.window)}:
            await self._look_up(windows, taken)
            for partner in windows:
                searches[partner].learn(taken)
        self._first_free.update({partner: search.first_free for partner, search in searches.items()})
        return Calendar({partner: search.free(taken, skip) for partner, search in searches.items()})

    async def _look_up(self, windows: Mapping[str, tuple[datetime, datetime]], taken: _Taken) -> None:
        within = [
            {
                "resource_id": {"$in": self._timetable.resource_ids(partner)},
                "starts_at": {"$gte": earliest, "$lte": latest},
            }
            for partner, (earliest, latest) in windows.items()
        ]
        only_the_slot = {"_id": 0, **dict.fromkeys(_SLOT, 1)}
        async for row in self._allocations.find({"$or": within}, only_the_slot):
            taken.setdefault((row["resource_id"], row["starts_at"]), set()).add(row["seat"])


def _allocation(case_id: str, appointment: Appointment) -> dict[str, Any]:
    return {
        "_id": appointment.id,
        "case_id": case_id,
        "resource_id": appointment.resource_id,
        "starts_at": appointment.starts_at,
        "seat": appointment.seat,
    }


async def _create(database: Database) -> None:
    await ensure_collection(database, CASES)
    await ensure_collection(database, ALLOCATIONS)
    await database[ALLOCATIONS].create_index([(name, ASCENDING) for name in _SLOT], name="slot", unique=True)


MIGRATIONS: Final = (Migration("scheduling-cases", _create),)
