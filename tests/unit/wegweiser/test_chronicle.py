"""The order in which `wegweiser trace` tells what several journals hold."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.base import new_id
from wegweiser.chronicle import Entry, entry_of, in_order

BEGIN = datetime(2026, 11, 23, 9, tzinfo=UTC)


def an_entry(id_: str, *, cause: str = "request", seconds: float = 0, sequence: int = 1) -> Entry:
    return Entry(
        id=id_,
        causation_id=cause,
        service="routing",
        time=BEGIN + timedelta(seconds=seconds),
        sequence=sequence,
        topic="routing.referrals.v1",
        sentence="something happened",
        is_sent=True,
    )


@st.composite
def journals(draw: st.DrawFn) -> list[Entry]:
    """Events of which many follow from another; the clocks that dated them agree in nothing."""
    entries: list[Entry] = []
    for number in range(draw(st.integers(0, 12))):
        causes = ["request", *(entry.id for entry in entries)]
        entries.append(
            an_entry(
                str(number),
                cause=draw(st.sampled_from(causes)),
                seconds=draw(st.integers(-5, 5)),
                sequence=draw(st.integers(1, 3)),
            )
        )
    return draw(st.permutations(entries))


@given(journals())
def test_an_effect_never_stands_before_its_cause_and_nothing_is_lost(entries: list[Entry]) -> None:
    ordered = in_order(entries)

    place = {entry.id: number for number, entry in enumerate(ordered)}
    assert sorted(place) == sorted(entry.id for entry in entries)
    assert all(place.get(entry.causation_id, -1) < place[entry.id] for entry in ordered)


@given(journals())
def test_the_order_does_not_depend_on_who_was_asked_first(entries: list[Entry]) -> None:
    assert in_order(entries) == in_order(reversed(entries))


def test_events_without_a_common_cause_stand_in_the_order_of_time() -> None:
    late, early = an_entry("late", seconds=2), an_entry("early", seconds=1)

    assert in_order([late, early]) == [early, late]


def test_events_of_the_same_decision_stand_in_the_order_of_their_numbers() -> None:
    second, first = an_entry("a", sequence=2), an_entry("b", sequence=1)

    assert in_order([second, first]) == [first, second]


def test_an_event_told_twice_stands_once() -> None:
    entry = an_entry("only")

    assert in_order([entry, entry]) == [entry]


def a_row(**changes: Any) -> dict[str, Any]:
    case_id = new_id()
    return {
        "id": new_id(),
        "causation_id": new_id(),
        "time": "2026-11-23T09:00:00.120Z",
        "sequence": 3,
        "topic": "intake.cases.v1",
        "subject": case_id,
        "type": "de.integrationsbuero.case.withdrawn.v1",
        "data": {"case_id": case_id, "reason": "by_sender"},
        "sent_at": "2026-11-23T09:00:00.130Z",
        **changes,
    }


def test_a_row_of_a_journal_is_told_in_plain_words() -> None:
    entry = entry_of("intake", a_row())

    assert entry.sentence == "case withdrawn by sender"
    assert entry.time == BEGIN + timedelta(milliseconds=120)
    assert entry.is_sent


def test_a_row_that_is_not_on_the_bus_yet_says_so() -> None:
    row = a_row()
    del row["sent_at"]

    assert not entry_of("intake", row).is_sent


def test_rows_of_another_version_are_told_by_their_type() -> None:
    newer = entry_of("intake", a_row(type="de.integrationsbuero.case.merged.v1"))
    other = entry_of("intake", a_row(data={}))

    assert newer.sentence.startswith("de.integrationsbuero.case.merged.v1")
    assert other.sentence.startswith("de.integrationsbuero.case.withdrawn.v1")
