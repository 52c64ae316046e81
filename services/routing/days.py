"""Days as the district counts them."""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

LOCAL: Final = ZoneInfo("Europe/Berlin")
_SATURDAY: Final = 5


def local_day(moment: datetime) -> date:
    """The calendar day in the district; around midnight it is not the day in UTC."""
    return moment.astimezone(LOCAL).date()


def working_days_after(day: date, count: int) -> date:
    """The last of `count` working days that begin after `day`. Holidays still count as working days."""
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < _SATURDAY
    return day
