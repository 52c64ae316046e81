"""The district's calendar: its clock decides the day, Hesse's holidays which days count."""

from datetime import UTC, date, datetime, timedelta

import pytest

from shared.days import is_holiday, local_day, working_days_after


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


@pytest.mark.parametrize("day", [date(2017, 4, 17), date(2019, 4, 22), date(2038, 4, 26)])
def test_holidays_that_are_not_every_year_on_that_day_are_known(day: date) -> None:
    assert is_holiday(day)
    assert not is_holiday(day.replace(year=2026))


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
