"""Finding free slots without reading every booking: what is known of the taken ones, and the calendar made of it.

All of this is only what an attempt believes. Whether a slot is free is decided by the store's unique index.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Final

from services.scheduling.domain.resources import Resource
from services.scheduling.domain.timetable import Opening

Taken = Mapping[tuple[str, datetime], Set[int]]
"""The taken seats by resource id and start."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One seat of one opening."""

    resource: Resource
    starts_at: datetime
    seat: int


class Calendar:
    """The free slots as one attempt sees them. Each is drawn once, so a batch never takes one twice."""

    def __init__(self, free: Mapping[str, Iterator[Slot]] | None = None) -> None:
        self._free = free or {}

    def draw(self, partner_id: str) -> Slot | None:
        """The partner's next free slot; None when nothing is free up to the horizon."""
        return next(self._free.get(partner_id, iter(())), None)


class Search:
    """Looks for `wanted` free slots of one partner, in growing windows from the first opening at or after `since`."""

    LEAST: Final = 64
    """Openings in a window: few enough to be read at once, enough that one window nearly always does."""

    def __init__(self, openings: Sequence[Opening], since: datetime | None, wanted: int) -> None:
        self._openings = openings
        self._first = bisect_left(openings, since, key=lambda opening: opening.starts_at) if since else 0
        self._known = self._first
        self._missing = wanted
        self._found = False
        self.first_free = since
        """Where a later search may begin."""

    @property
    def window(self) -> tuple[datetime, datetime] | None:
        """First and last start to be looked up next; None when enough was found or the horizon is reached."""
        if self._missing <= 0 or self._known >= len(self._openings):
            return None
        return self._openings[self._known].starts_at, self._openings[self._end() - 1].starts_at

    def learn(self, taken: Taken) -> None:
        """Take in what is taken in the window."""
        end = self._end()
        for opening in self._openings[self._known : end]:
            if not self._found:
                self.first_free = opening.starts_at
            free = opening.resource.seats - len(taken.get((opening.resource.id, opening.starts_at), ()))
            if free > 0:
                self._missing -= free
                self._found = True
        self._known = end

    def free(self, taken: Taken, skip: int) -> Iterator[Slot]:
        """The free slots, earliest first, except that the first `skip` come last."""
        return chain(islice(self._slots(taken), skip, None), islice(self._slots(taken), skip))

    def _slots(self, taken: Taken) -> Iterator[Slot]:
        for opening in islice(self._openings, self._first, None):
            gone = taken.get((opening.resource.id, opening.starts_at), ())
            for seat in range(opening.resource.seats):
                if seat not in gone:
                    yield Slot(opening.resource, opening.starts_at, seat)

    def _end(self) -> int:
        """Seats enough if all were free, and at least as many openings as were looked up before."""
        least = self._known + max(self.LEAST, self._known - self._first)
        missing, end = self._missing, self._known
        while end < len(self._openings) and (missing > 0 or end < least):
            missing -= self._openings[end].resource.seats
            end += 1
        return end
