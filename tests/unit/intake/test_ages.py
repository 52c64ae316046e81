"""Age travels as a band; where the birth is known too vaguely, as unknown."""

from datetime import date

import pytest

from services.intake.domain.ages import age_band


@pytest.mark.parametrize(
    ("born", "on", "band"),
    [
        (date(2020, 3, 2), date(2026, 3, 1), "0-5"),
        (date(2020, 3, 1), date(2026, 3, 1), "6-11"),
        (date(2014, 3, 1), date(2026, 3, 1), "12-17"),
        (date(2008, 3, 2), date(2026, 3, 1), "12-17"),
        (date(2008, 2, 29), date(2026, 2, 28), "12-17"),
        (date(2008, 2, 29), date(2026, 3, 1), "18-26"),
        (date(1999, 3, 2), date(2026, 3, 1), "18-26"),
        (date(1999, 3, 1), date(2026, 3, 1), "27-64"),
        (date(1961, 3, 2), date(2026, 3, 1), "27-64"),
        (date(1961, 3, 1), date(2026, 3, 1), "65+"),
    ],
)
def test_a_band_ends_on_the_birthday(born: date, on: date, band: str) -> None:
    assert age_band(born, None, "day", on) == band


@pytest.mark.parametrize(
    ("year", "band"),
    [(1990, "27-64"), (1999, "unknown"), (2000, "18-26")],
)
def test_a_year_is_enough_where_every_birthday_leads_to_one_band(year: int, band: str) -> None:
    on = date(2026, 3, 1)

    assert age_band(None, year, "year", on) == band
    assert age_band(date(year, 7, 1), None, "year", on) == band
    assert age_band(None, year, "day", on) == band


def test_a_month_is_enough_outside_the_birthday_s_month() -> None:
    born = date(1999, 3, 15)

    assert age_band(born, None, "month", date(2026, 2, 28)) == "18-26"
    assert age_band(born, None, "month", date(2026, 3, 10)) == "unknown"
    assert age_band(born, None, "month", date(2026, 4, 1)) == "27-64"


def test_a_birth_that_is_not_known_has_no_band() -> None:
    assert age_band(None, None, "day", date(2026, 3, 1)) == "unknown"
    assert age_band(date(1990, 1, 1), 1990, "unknown", date(2026, 3, 1)) == "unknown"
