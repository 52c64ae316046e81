"""The test agreement a second time, as a clerk would note it down, and the calendar on the wall."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

BERLIN: Final = ZoneInfo("Europe/Berlin")
EASTER: Final = {2026: (4, 5), 2027: (3, 28), 2028: (4, 16), 2029: (4, 1), 2030: (4, 21), 2031: (4, 13)}
"""By the calendar on the wall."""

SHEET: Final = "sheet-help"
OFFICE: Final = "office"


@dataclass(frozen=True)
class Who:
    """A partner as the test agreement has it."""

    response: int
    grace: int = 2
    closed: frozenset[date] = frozenset()
    reports: bool = False


PARTNERS: Final = {
    "caritas": Who(3),
    "diakonie": Who(2, 0, frozenset(date(2026, 12, day) for day in (1, 2, 3, 4))),
    "awo": Who(5, 3),
    "vhs": Who(1, reports=True),
    "schuldnerberatung": Who(4),
}
TAKERS: Final = {
    "general": (OFFICE, "caritas", "diakonie"),
    "job_search": ("awo", "caritas", "diakonie"),
    "housing_search": ("awo",),
    "childcare": ("awo", "diakonie"),
    "german_course": ("vhs",),
    "integration_course": ("vhs",),
    "debt": ("schuldnerberatung",),
}
HAND_ON: Final = {"housing_search": ("caritas", "vhs"), "debt": ("awo",)}
RESPONSE: Final = {"housing_search": 1}
CLARIFICATION, REVIEW, REOPENING, CAPACITY, QUESTIONS = 5, 20, 90, 14, 3


def day_of(moment: datetime) -> date:
    return moment.astimezone(BERLIN).date()


def midnight_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), BERLIN).astimezone(UTC)


def works(day: date, closed: frozenset[date] = frozenset()) -> bool:
    easter = date(day.year, *EASTER[day.year])
    holidays = {easter + timedelta(days=days) for days in (-2, 1, 39, 50, 60)}
    fixed = {(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)}
    return day.weekday() < 5 and day not in closed and day not in holidays and (day.month, day.day) not in fixed


def nth(day: date, count: int, closed: frozenset[date] = frozenset()) -> date:
    """The `count`-th working day after `day`."""
    while count:
        day += timedelta(days=1)
        count -= works(day, closed)
    return day
