"""What the resource table offers: local hours as moments in UTC, across changes of the clock and holidays."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scheduling_builders import WORKDAYS, a_resource, a_timetable

from services.scheduling.domain.resources import WEEKDAYS
from services.scheduling.domain.timetable import openings_on
from shared.days import LOCAL, is_holiday


@pytest.mark.parametrize(
    ("day", "hour"),
    [
        pytest.param(date(2026, 3, 27), 8, id="Friday before summer time"),
        pytest.param(date(2026, 3, 30), 7, id="Monday after it began"),
        pytest.param(date(2026, 10, 23), 7, id="Friday before winter time"),
        pytest.param(date(2026, 10, 26), 8, id="Monday after it began"),
    ],
)
def test_nine_stays_nine_when_the_clocks_change(day: date, hour: int) -> None:
    first, _ = openings_on(day, a_resource())

    assert first.starts_at == datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_a_day_with_a_clock_change_has_as_many_slots_as_any_other(day: date) -> None:
    course = a_resource(hours={"sunday": ["04:00-12:00"]})

    starts = [opening.starts_at for opening in openings_on(day, course)]

    assert [start.astimezone(LOCAL).hour for start in starts] == list(range(4, 12))
    assert {later - earlier for earlier, later in pairwise(starts)} == {timedelta(hours=1)}


@given(
    day=st.dates(date(2020, 1, 1), date(2040, 12, 31)),
    minutes=st.integers(5, 240),
    opens=st.integers(4, 20),
    length=st.integers(1, 3),
)
def test_openings_lie_within_their_hours_and_never_overlap(day: date, minutes: int, opens: int, length: int) -> None:
    windows = [f"{opens:02}:00-{opens + length:02}:00"]
    resource = a_resource(minutes=minutes, hours=dict.fromkeys(WEEKDAYS, windows))

    starts = [opening.starts_at for opening in openings_on(day, resource)]

    assert len(starts) == (0 if is_holiday(day) else length * 60 // minutes)
    for earlier, later in pairwise(starts):
        assert later - earlier >= timedelta(minutes=minutes)
    for start in starts:
        local = start.astimezone(LOCAL)
        assert local.date() == day
        assert opens * 60 <= local.hour * 60 + local.minute <= (opens + length) * 60 - minutes


def test_a_last_slot_that_would_run_over_is_not_offered() -> None:
    resource = a_resource(minutes=50)

    assert len(list(openings_on(date(2026, 11, 24), resource))) == 2


def test_the_first_day_is_the_next_working_day_in_the_district() -> None:
    after_midnight_before_easter = datetime(2026, 4, 2, 22, 30, tzinfo=UTC)

    openings = a_timetable().openings(after_midnight_before_easter)["awo"]

    assert openings[0].starts_at.date() == date(2026, 4, 7)


def test_nothing_is_offered_on_a_holiday() -> None:
    assert not list(openings_on(date(2026, 12, 25), a_resource()))


def test_the_horizon_moves_with_the_day() -> None:
    timetable = a_timetable(horizon_days=1)

    [monday] = {opening.starts_at.date() for opening in timetable.openings(datetime(2026, 11, 23, tzinfo=UTC))["awo"]}
    [tuesday] = {opening.starts_at.date() for opening in timetable.openings(datetime(2026, 11, 24, tzinfo=UTC))["awo"]}

    assert (monday, tuesday) == (date(2026, 11, 24), date(2026, 11, 25))


def test_openings_of_several_resources_come_by_time() -> None:
    early, late = a_resource("awo-1"), a_resource("awo-2", hours=dict.fromkeys(WORKDAYS, ("09:30-10:30",)))

    openings = a_timetable(early, late, horizon_days=1).openings(datetime(2026, 11, 23, tzinfo=UTC))["awo"]

    assert [opening.resource.id for opening in openings] == ["awo-1", "awo-2", "awo-1"]


@pytest.mark.parametrize(
    "windows",
    [
        pytest.param(["11:00-09:00"], id="closes before it opens"),
        pytest.param(["09:00-11:00", "10:00-12:00"], id="overlap"),
        pytest.param(["13:00-14:00", "09:00-10:00"], id="out of order"),
        pytest.param(["02:30-05:00"], id="while the clocks may change"),
        pytest.param(["nine to five"], id="not a time"),
    ],
)
def test_hours_that_make_no_sense_are_refused(windows: list[str]) -> None:
    with pytest.raises(ValidationError):
        a_resource(hours={"monday": windows})
