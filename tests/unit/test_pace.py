"""Whoever sends without end waits for its turn, each by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.pace import BURST_SECONDS, Pace

THEIRS, OTHERS = "awo", "vhs"


class Clock:
    """It stands until it is told."""

    now = 1000.0

    def __call__(self) -> float:
        """The seconds it shows."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(10, clock=clock)


def test_what_comes_after_silence_may_come_at_once(pace: Pace) -> None:
    pace.note(THEIRS, 10 * BURST_SECONDS)

    assert not pace.is_reached(THEIRS)


def test_who_writes_more_waits_until_it_has_flowed_off(pace: Pace, clock: Clock) -> None:
    pace.note(THEIRS, 10 * BURST_SECONDS + 20)

    assert pace.is_reached(THEIRS)
    clock.now += 1
    assert pace.is_reached(THEIRS)
    clock.now += 1
    assert not pace.is_reached(THEIRS)


def test_others_do_not_wait_for_it(pace: Pace) -> None:
    pace.note(THEIRS, 100_000)
    pace.note(OTHERS, 1)

    assert pace.is_reached(THEIRS)
    assert not pace.is_reached(OTHERS)


def test_nobody_waits_longer_than_a_burst_takes(pace: Pace, clock: Clock) -> None:
    pace.note(THEIRS, 1_000_000)

    clock.now += BURST_SECONDS
    assert not pace.is_reached(THEIRS)


@given(st.lists(st.tuples(st.integers(1, 100), st.floats(0, 20)), max_size=50))
def test_in_no_time_more_is_taken_than_the_burst_the_pace_and_one_batch(taken: list[tuple[int, float]]) -> None:
    clock = Clock()
    began, pace, total = clock.now, Pace(10, clock=clock), 0

    for records, seconds in taken:
        if not pace.is_reached(THEIRS):
            pace.note(THEIRS, records)
            total += records
        assert total <= 10 * (BURST_SECONDS + clock.now - began) + 100 + 1e-6
        clock.now += seconds
