"""Which openings the resource table gives, from the first bookable day to the horizon.

The table speaks local time, as counsellors do; each window is turned into UTC on its own day, so a consultation at
nine stays at nine when the clocks change.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from services.scheduling.domain.resources import WEEKDAYS, Resource
from shared.days import LOCAL, is_holiday, local_day, working_days_after


@dataclass(frozen=True, slots=True)
class Opening:
    """A moment (UTC) at which a resource can be booked, by as many people as it has seats."""

    resource: Resource
    starts_at: datetime


class Timetable:
    """The openings of every partner. Computed anew when a day has passed, since the horizon moves with it."""

    def __init__(self, resources: Iterable[Resource], *, lead_days: int, horizon_days: int) -> None:
        grouped: dict[str, list[Resource]] = defaultdict(list)
        for resource in resources:
            grouped[resource.partner].append(resource)
        self._resources = grouped
        self._lead_days = lead_days
        self._horizon_days = horizon_days
        self._first_day = date.min
        self._openings: dict[str, tuple[Opening, ...]] = {}

    def resource_ids(self, partner_id: str) -> list[str]:
        """The partner's resources."""
        return [resource.id for resource in self._resources[partner_id]]

    def open_at(self, starts_at: datetime, partner_id: str, place: str) -> list[Resource]:
        """The partner's resources at that place that can be booked at this moment, be it past or far off."""
        day = starts_at.astimezone(LOCAL).date()
        return [
            resource
            for resource in self._resources[partner_id]
            if resource.place == place and any(opening.starts_at == starts_at for opening in openings_on(day, resource))
        ]

    def openings(self, now: datetime) -> Mapping[str, Sequence[Opening]]:
        """What can be booked from `now` on, by partner, the earliest first."""
        first = working_days_after(local_day(now), self._lead_days)
        if first != self._first_day:
            days = [first + timedelta(days=offset) for offset in range(self._horizon_days)]
            self._openings = {partner: _sorted(resources, days) for partner, resources in self._resources.items()}
            self._first_day = first
        return self._openings


def openings_on(day: date, resource: Resource) -> Iterator[Opening]:
    """The openings of one resource on one local day; none on a public holiday."""
    if is_holiday(day):
        return
    length = timedelta(minutes=resource.minutes)
    for window in resource.hours.get(WEEKDAYS[day.weekday()], ()):
        starts_at, closes_at = _utc(day, window.opens), _utc(day, window.closes)
        while starts_at + length <= closes_at:
            yield Opening(resource, starts_at)
            starts_at += length


def _sorted(resources: Sequence[Resource], days: Sequence[date]) -> tuple[Opening, ...]:
    found = (opening for day in days for resource in resources for opening in openings_on(day, resource))
    return tuple(sorted(found, key=lambda opening: (opening.starts_at, opening.resource.id)))


def _utc(day: date, local: time) -> datetime:
    return datetime.combine(day, local, LOCAL).astimezone(UTC)
