"""Ages as the agreement counts them: in bands."""

from datetime import date
from typing import Final, Literal

from shared.contracts.codes import AgeBand

BirthPrecision = Literal["day", "month", "year", "unknown"]

_BANDS: Final = (
    (5, AgeBand.INFANT),
    (11, AgeBand.CHILD),
    (17, AgeBand.TEENAGER),
    (26, AgeBand.YOUNG_ADULT),
    (64, AgeBand.ADULT),
)
_DECEMBER: Final = 12


def age_band(born: date | None, year: int | None, precision: BirthPrecision, on: date) -> AgeBand:
    """The age band on a day; unknown where what is known of the birth leaves more than one."""
    if precision == "unknown" or (born is None and year is None):
        return AgeBand.UNKNOWN
    if born is not None and precision == "day":
        return _band(_age(born, on))
    earliest, latest = _possible_births(born, year, precision)
    oldest, youngest = _band(_age(earliest, on)), _band(_age(latest, on))
    return oldest if oldest is youngest else AgeBand.UNKNOWN


def _possible_births(born: date | None, year: int | None, precision: BirthPrecision) -> tuple[date, date]:
    if born is not None and precision == "month":
        return born.replace(day=1), born.replace(day=28)
    known = born.year if born is not None else year
    assert known is not None
    return date(known, 1, 1), date(known, _DECEMBER, 31)


def _age(born: date, on: date) -> int:
    """Completed years; who was born on 29 February completes them on 1 March (section 188 BGB)."""
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def _band(age: int) -> AgeBand:
    return next((band for limit, band in _BANDS if age <= limit), AgeBand.SENIOR)
