"""Days as the district counts them: by its own clock, and by Hesse's public holidays.

The holidays are those of section 1 of the Hessisches Feiertagsgesetz.
"""

from collections.abc import Set
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo

LOCAL: Final = ZoneInfo("Europe/Berlin")
_FIXED: Final = ((1, 1), (5, 1), (10, 3), (12, 25), (12, 26))
_AFTER_EASTER: Final = (-2, 1, 39, 50, 60)
"""Good Friday, Easter Monday, Ascension, Whit Monday, Corpus Christi; Easter and Whit Sunday are Sundays anyway."""
_SATURDAY: Final = 5


def local_day(moment: datetime) -> date:
    """The calendar day in the district; around midnight it is not the day in UTC."""
    return moment.astimezone(LOCAL).date()


def is_holiday(day: date) -> bool:
    """Whether `day` is a public holiday in Hesse."""
    return day in _holidays(day.year)


def end_of(day: date) -> datetime:
    """The moment a day is over in the district, in UTC; days are 23 to 25 hours long."""
    return datetime.combine(day + timedelta(days=1), time(), LOCAL).astimezone(UTC)


def is_working_day(day: date, closed: Set[date] = frozenset()) -> bool:
    """Monday to Friday without Hesse's public holidays and the days an institution is closed."""
    return day.weekday() < _SATURDAY and day not in closed and not is_holiday(day)


@lru_cache(maxsize=10_000)
def working_days_after(day: date, count: int, closed: frozenset[date] = frozenset()) -> date:
    """The last of `count` working days that begin after `day`."""
    while count:
        day += timedelta(days=1)
        count -= is_working_day(day, closed)
    return day


def working_days_left(day: date, last: date, closed: Set[date] = frozenset()) -> int:
    """How many working days there are from `day` to `last`, both included."""
    days = (day + timedelta(days=number) for number in range((last - day).days + 1))
    return sum(is_working_day(each, closed) for each in days)


@cache
def _holidays(year: int) -> frozenset[date]:
    easter = _easter(year)
    movable = {easter + timedelta(days=days) for days in _AFTER_EASTER}
    return frozenset({date(year, month, day) for month, day in _FIXED} | movable)


def _easter(year: int) -> date:
    """Easter Sunday by the anonymous Gregorian algorithm (Meeus, Astronomical Algorithms, chapter 8)."""
    century, of_century = divmod(year, 100)
    golden = year % 19
    leap_centuries, centuries_left = divmod(century, 4)
    shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - shift + 15) % 30
    leaps, years_left = divmod(of_century, 4)
    weekday = (32 + 2 * centuries_left + 2 * leaps - epact - years_left) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
