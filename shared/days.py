"""Days as the district counts them: by its own clock, and by Hesse's public holidays.

The holidays are those of section 1 of the Hessisches Feiertagsgesetz, and what was one in a single year. They stand in
a table that `make holidays` writes.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

LOCAL: Final = ZoneInfo("Europe/Berlin")
HOLIDAYS: Final = Path(__file__).parent / "holidays_hesse.txt"
_SATURDAY: Final = 5


def local_day(moment: datetime) -> date:
    """The calendar day in the district; around midnight it is not the day in UTC."""
    return moment.astimezone(LOCAL).date()


def is_holiday(day: date) -> bool:
    """Whether `day` is a public holiday in Hesse; raises `ValueError` outside the years of the table."""
    years, holidays = _table()
    if day.year not in years:
        raise ValueError(f"{day}: public holidays are known from {years[0]} to {years[-1]}")
    return day in holidays


def end_of(day: date) -> datetime:
    """The moment a day is over in the district, in UTC; days are 23 to 25 hours long."""
    return datetime.combine(day + timedelta(days=1), time(), LOCAL).astimezone(UTC)


def is_working_day(day: date, closed: frozenset[date] = frozenset()) -> bool:
    """Monday to Friday without Hesse's public holidays and the days an institution is closed."""
    return day.weekday() < _SATURDAY and day not in closed and not is_holiday(day)


@lru_cache(maxsize=10_000)
def working_days_after(day: date, count: int, closed: frozenset[date] = frozenset()) -> date:
    """The last of `count` working days that begin after `day`."""
    while count:
        day += timedelta(days=1)
        count -= is_working_day(day, closed)
    return day


def working_days_left(day: date, last: date, closed: frozenset[date] = frozenset()) -> int:
    """How many working days there are from `day` to `last`, both included."""
    days = (day + timedelta(days=number) for number in range((last - day).days + 1))
    return sum(is_working_day(each, closed) for each in days)


@cache
def _table() -> tuple[range, frozenset[date]]:
    """The years that are known, and their holidays."""
    holidays = frozenset(map(date.fromisoformat, HOLIDAYS.read_text(encoding="ascii").split()))
    return range(min(holidays).year, max(holidays).year + 1), holidays
