"""The district's calendar: its clock decides the day, Hesse's holidays which days count."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.holiday_table import YEARS, table
from shared.days import (
    HOLIDAYS,
    end_of,
    is_holiday,
    is_working_day,
    local_day,
    working_days_after,
    working_days_left,
)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        pytest.param(datetime(2026, 6, 30, 21, 59, tzinfo=UTC), date(2026, 6, 30), id="just before midnight"),
        pytest.param(datetime(2026, 6, 30, 22, 0, tzinfo=UTC), date(2026, 7, 1), id="midnight in summer"),
        pytest.param(datetime(2026, 3, 28, 23, 0, tzinfo=UTC), date(2026, 3, 29), id="the day that lacks an hour"),
        pytest.param(datetime(2026, 3, 29, 21, 59, tzinfo=UTC), date(2026, 3, 29), id="its last minute"),
        pytest.param(datetime(2026, 10, 24, 22, 0, tzinfo=UTC), date(2026, 10, 25), id="the day with an hour twice"),
        pytest.param(datetime(2026, 10, 25, 22, 59, tzinfo=UTC), date(2026, 10, 25), id="its last minute in winter"),
    ],
)
def test_the_day_is_that_of_the_district(moment: datetime, day: date) -> None:
    assert local_day(moment) == day


def test_the_holidays_of_a_year_are_those_of_hesse() -> None:
    days = (date(2026, 1, 1) + timedelta(days=number) for number in range(365))

    assert [f"{day:%d.%m.}" for day in days if is_holiday(day)] == [
        *("01.01.", "03.04.", "06.04.", "01.05.", "14.05.", "25.05.", "04.06.", "03.10.", "25.12.", "26.12.")
    ]


@pytest.mark.parametrize("day", [date(2017, 4, 17), date(2017, 10, 31), date(2019, 4, 22), date(2038, 4, 26)])
def test_holidays_that_are_not_every_year_on_that_day_are_known(day: date) -> None:
    assert is_holiday(day)
    assert not is_holiday(day.replace(year=2026))


def test_the_table_is_what_the_library_says_of_every_year() -> None:
    assert HOLIDAYS.read_text() == table(), "`make holidays` writes it anew"


@pytest.mark.parametrize("day", [date(YEARS[0], 1, 1) - timedelta(days=1), date(YEARS[-1], 12, 31) + timedelta(days=1)])
def test_of_a_day_outside_the_table_nothing_is_said(day: date) -> None:
    with pytest.raises(ValueError, match="from 2000 to 2075"):
        is_holiday(day)


@pytest.mark.parametrize(
    ("day", "over"),
    [
        pytest.param(date(2026, 6, 30), datetime(2026, 6, 30, 22, 0, tzinfo=UTC), id="in summer"),
        pytest.param(date(2026, 12, 31), datetime(2026, 12, 31, 23, 0, tzinfo=UTC), id="in winter"),
        pytest.param(date(2026, 3, 28), datetime(2026, 3, 28, 23, 0, tzinfo=UTC), id="before the clocks go forward"),
        pytest.param(date(2026, 3, 29), datetime(2026, 3, 29, 22, 0, tzinfo=UTC), id="the day that lacks an hour"),
        pytest.param(date(2026, 10, 24), datetime(2026, 10, 24, 22, 0, tzinfo=UTC), id="before the clocks go back"),
        pytest.param(date(2026, 10, 25), datetime(2026, 10, 25, 23, 0, tzinfo=UTC), id="the day with an hour twice"),
    ],
)
def test_a_day_is_over_at_the_district_s_midnight(day: date, over: datetime) -> None:
    assert end_of(day) == over
    assert local_day(over - timedelta(microseconds=1)) == day


@pytest.mark.parametrize(
    ("day", "counts"),
    [
        pytest.param(date(2026, 11, 27), True, id="Friday"),
        pytest.param(date(2026, 11, 28), False, id="Saturday"),
        pytest.param(date(2026, 11, 29), False, id="Sunday"),
        pytest.param(date(2026, 5, 14), False, id="Ascension Day"),
        pytest.param(date(2026, 12, 24), False, id="closed"),
    ],
)
def test_working_days_are_monday_to_friday_but_for_holidays_and_closing_days(day: date, counts: bool) -> None:
    assert is_working_day(day, closed={date(2026, 12, 24)}) is counts


@pytest.mark.parametrize(
    ("day", "count", "last"),
    [
        pytest.param(date(2026, 11, 23), 1, date(2026, 11, 24), id="Monday: tomorrow"),
        pytest.param(date(2026, 11, 27), 1, date(2026, 11, 30), id="Friday: after the weekend"),
        pytest.param(date(2026, 11, 28), 1, date(2026, 11, 30), id="from a Saturday"),
        pytest.param(date(2026, 4, 2), 1, date(2026, 4, 7), id="over Easter"),
        pytest.param(date(2026, 4, 30), 1, date(2026, 5, 4), id="over the First of May"),
        pytest.param(date(2026, 12, 23), 1, date(2026, 12, 24), id="Christmas Eve counts"),
        pytest.param(date(2026, 12, 23), 2, date(2026, 12, 28), id="over Christmas"),
        pytest.param(date(2026, 12, 23), 10, date(2027, 1, 8), id="into the new year"),
    ],
)
def test_working_days_skip_weekends_and_holidays(day: date, count: int, last: date) -> None:
    assert working_days_after(day, count) == last


def test_closing_days_are_skipped_too() -> None:
    closed = frozenset({date(2026, 12, 24), date(2026, 12, 28)})

    assert working_days_after(date(2026, 12, 23), 1, closed) == date(2026, 12, 29)
    assert working_days_left(date(2026, 12, 24), date(2026, 12, 29), closed) == 1


@pytest.mark.parametrize(
    ("day", "last", "left"),
    [
        pytest.param(date(2026, 11, 23), date(2026, 11, 23), 1, id="the last day itself"),
        pytest.param(date(2026, 11, 28), date(2026, 11, 29), 0, id="a weekend"),
        pytest.param(date(2026, 4, 2), date(2026, 4, 7), 2, id="over Easter"),
        pytest.param(date(2026, 11, 24), date(2026, 11, 23), 0, id="the last day is past"),
    ],
)
def test_the_working_days_left_include_both_ends(day: date, last: date, left: int) -> None:
    assert working_days_left(day, last) == left


@given(
    day=st.dates(date(2010, 1, 1), date(2070, 1, 1)),
    count=st.integers(1, 60),
    closed=st.sets(st.integers(0, 60)),
)
def test_of_a_term_given_today_all_working_days_are_left_tomorrow(day: date, count: int, closed: set[int]) -> None:
    days = frozenset(day + timedelta(days=number) for number in closed)

    assert working_days_left(day + timedelta(days=1), working_days_after(day, count, days), days) == count
