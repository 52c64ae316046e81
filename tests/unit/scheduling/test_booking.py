"""Who gets which slot: the first free one, once per referral, and never one that somebody has."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scheduling_builders import (
    MONDAY,
    a_calendar,
    a_case,
    a_resource,
    a_timetable,
    accepted,
    booked_in_turn,
    withdrawn,
)

from services.scheduling.domain.cases import Appointment, ScheduledCase, book, give_back
from services.scheduling.domain.slots import Search
from shared.contracts.base import derived_id
from shared.contracts.codes import AppointmentMode, CancellationReason
from shared.contracts.scheduling import AppointmentBooked, AppointmentCancelled, AppointmentUnavailable

CAUSE = derived_id("cause")


def slots_of(appointments: list[Appointment]) -> list[tuple[str, int, int]]:
    """Resource, hour in UTC and seat of each."""
    return [(appointment.resource_id, appointment.starts_at.hour, appointment.seat) for appointment in appointments]


def test_the_first_free_slot_of_the_next_working_day_is_booked() -> None:
    decision = book(accepted(), a_case(), cause_id=CAUSE)

    [told] = decision.events
    assert isinstance(told, AppointmentBooked)
    assert told.starts_at.isoformat() == "2026-11-24T08:00:00+00:00"
    assert (told.minutes, told.place, told.mode) == (60, "integrationsbuero", AppointmentMode.ON_SITE)
    assert (told.referral_id, told.person_id, told.languages) == (accepted().referral_id, accepted().person_id, ("ar",))
    assert decision.state
    [appointment] = decision.state.appointments
    assert appointment.id == told.appointment_id


def test_the_same_cause_makes_the_same_appointment() -> None:
    [first] = book(accepted(), a_case(), cause_id=CAUSE).events
    [again] = book(accepted(), a_case(), cause_id=CAUSE).events

    assert first == again


def test_a_referral_is_booked_once_however_often_it_is_accepted() -> None:
    case = book(accepted(), a_case(), cause_id=CAUSE).state
    assert case

    again = book(accepted(), case, cause_id=derived_id("another cause"))

    assert again.state is None
    assert not again.events


def test_bookings_of_one_batch_take_different_slots() -> None:
    calendar = a_calendar(a_timetable(a_resource(seats=2)))

    appointments = booked_in_turn(calendar, range(5))

    assert slots_of(appointments) == [
        ("awo-1", 8, 0),
        ("awo-1", 8, 1),
        ("awo-1", 9, 0),
        ("awo-1", 9, 1),
        ("awo-1", 8, 0),
    ]


def test_another_partner_s_slots_are_not_touched() -> None:
    calendar = a_calendar(a_timetable(a_resource("awo-1"), a_resource("vhs-1", partner="vhs")))

    decision = book(accepted(by="vhs"), a_case(calendar=calendar), cause_id=CAUSE)

    assert decision.state
    assert slots_of(list(decision.state.appointments)) == [("vhs-1", 8, 0)]


def test_without_a_slot_up_to_the_horizon_the_office_is_told() -> None:
    calendar = a_calendar(a_timetable(horizon_days=1))
    booked_in_turn(calendar, range(2))

    decision = book(accepted(3), a_case(3, calendar=calendar), cause_id=CAUSE)

    assert [type(event) for event in decision.events] == [AppointmentUnavailable]


def test_a_partner_without_resources_has_no_slot() -> None:
    decision = book(accepted(by="unheard-of"), a_case(), cause_id=CAUSE)

    assert [type(event) for event in decision.events] == [AppointmentUnavailable]


def test_a_withdrawal_gives_the_slot_back() -> None:
    case = book(accepted(), a_case(), cause_id=CAUSE).state
    assert case

    decision = give_back(withdrawn(), case, now=MONDAY)

    [told] = decision.events
    assert isinstance(told, AppointmentCancelled)
    assert told.reason is CancellationReason.WITHDRAWN
    assert told.appointment_id == case.appointments[0].id
    assert decision.state
    assert not decision.state.standing
    assert len(decision.state.appointments) == 1


def test_a_withdrawal_leaves_the_other_referrals_of_the_case() -> None:
    calendar = a_calendar(a_timetable(a_resource("awo-1"), a_resource("vhs-1", partner="vhs")))
    one = book(accepted(by="awo"), a_case(calendar=calendar), cause_id=CAUSE).state
    assert one
    both = book(accepted(by="vhs"), one, cause_id=derived_id("another cause")).state
    assert both

    left = give_back(withdrawn(of="awo"), both, now=MONDAY).state

    assert left
    assert [appointment.partner_id for appointment in left.standing.values()] == ["vhs"]


def test_a_withdrawal_without_an_appointment_changes_nothing() -> None:
    decision = give_back(withdrawn(), a_case(), now=MONDAY)

    assert decision.state is None
    assert not decision.events


@pytest.mark.parametrize(
    ("passed", "given_back"),
    [
        pytest.param(timedelta(microseconds=-1), True, id="about to begin"),
        pytest.param(timedelta(), False, id="beginning"),
        pytest.param(timedelta(days=30), False, id="long past"),
    ],
)
def test_an_appointment_that_has_begun_is_history(passed: timedelta, given_back: bool) -> None:
    case = book(accepted(), a_case(), cause_id=CAUSE).state
    assert case
    [appointment] = case.appointments

    decision = give_back(withdrawn(), case, now=appointment.starts_at + passed)

    assert bool(decision.events) is given_back
    assert (decision.state is not None) is given_back


def test_a_referral_that_gave_its_slot_back_gets_no_other_by_itself() -> None:
    case = book(accepted(), a_case(), cause_id=CAUSE).state
    assert case
    left = give_back(withdrawn(), case, now=MONDAY).state
    assert left

    again = book(accepted(), left, cause_id=derived_id("another cause"))

    assert not again.events


STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=40)


@given(batches=st.lists(STEPS, max_size=6), seats=st.integers(1, 3))
def test_no_slot_ever_holds_two(batches: list[list[tuple[bool, int]]], seats: int) -> None:
    """Any accepts and withdrawals of ten cases, in batches that share a calendar each."""
    timetable = a_timetable(a_resource("awo-1", seats=seats), a_resource("awo-2", seats=seats), horizon_days=2)
    cases: dict[int, ScheduledCase] = {}
    for batch in batches:
        standing = [appointment for case in cases.values() for appointment in case.standing.values()]
        calendar = a_calendar(timetable, standing)
        for accept, number in batch:
            case = cases.get(number, a_case(number)).model_copy(update={"calendar": calendar})
            cause = derived_id("cause", str(number))
            if accept:
                decision = book(accepted(number), case, cause_id=cause)
            else:
                decision = give_back(withdrawn(number), case, now=MONDAY)
            cases[number] = decision.state or case

    held = Counter(
        (appointment.resource_id, appointment.starts_at, appointment.seat)
        for case in cases.values()
        for appointment in case.standing.values()
    )
    assert set(held.values()) <= {1}


@given(
    taken=st.sets(st.integers(0, 299)),
    wanted=st.integers(1, 300),
    skip=st.integers(0, 50),
)
def test_a_search_finds_every_free_slot_in_order_of_time(taken: set[int], wanted: int, skip: int) -> None:
    """Looked up window by window, it agrees with a look at everything; what is skipped comes last."""
    openings = a_timetable(a_resource(minutes=5, hours={"monday": ["05:00-23:00"]}), horizon_days=10).openings(MONDAY)[
        "awo"
    ]
    starts = [opening.starts_at for opening in openings]
    gone = {("awo-1", starts[index]): {0} for index in taken if index < len(starts)}
    known: dict[tuple[str, datetime], set[int]] = {}
    search = Search(openings, None, wanted)

    while window := search.window:
        known |= {key: seats for key, seats in gone.items() if window[0] <= key[1] <= window[1]}
        search.learn(known)

    free = [start for start in starts if ("awo-1", start) not in gone]
    assert search.first_free == (free or starts[-1:])[0]
    found = [slot.starts_at for slot in search.free(known, 0)]
    assert found[:wanted] == free[:wanted]
    stepped_over = [slot.starts_at for slot in search.free(known, skip)]
    assert stepped_over == found[skip:] + found[:skip]


def test_a_search_begins_where_the_last_one_found_something() -> None:
    openings = a_timetable().openings(MONDAY)["awo"]

    search = Search(openings, openings[3].starts_at, 1)

    assert search.window
    assert search.window[0] == openings[3].starts_at
    assert next(search.free({}, 0)).starts_at == openings[3].starts_at
