"""Random interleavings of repetitions, batches and instances, held against a model that takes one by one."""

import asyncio
from collections import defaultdict

from faults.checker import effects_violated, numbers_violated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toy.records import Written
from toy.service import PLAIN, RAISES, TELLS_TWO, TOO_LARGE
from toy.trial import Trial

from shared.contracts.base import new_id

CASES = 3
POOL = 12

behaviours = st.sampled_from([PLAIN, PLAIN, PLAIN, TELLS_TWO, RAISES, TOO_LARGE])
pools = st.lists(st.tuples(st.integers(0, CASES - 1), behaviours), min_size=1, max_size=POOL)
batches = st.lists(st.integers(0, POOL - 1), min_size=1, max_size=8)
steps = st.lists(st.lists(batches, min_size=1, max_size=3), min_size=1, max_size=6)
"""Each step is a set of batches that as many instances handle at once."""


class Model:
    """What one patient clerk would do with the events, one after another."""

    def __init__(self) -> None:
        self.effects: dict[str, list[str]] = defaultdict(list)
        self.aside: dict[str, list[str]] = defaultdict(list)

    def take(self, event: Written, behaviour: str) -> None:
        """One event in; a repetition changes nothing, and nothing passes a record set aside."""
        case = event.case_id
        if event.id in self.effects[case] or event.id in self.aside[case]:
            return
        bad = behaviour in (RAISES, TOO_LARGE) or self.aside[case]
        (self.aside if bad else self.effects)[case].append(event.id)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(pool=pools, steps=steps)
async def test_whatever_is_repeated_or_raced_each_event_is_in_one_place(
    store: Trial, pool: list[tuple[int, str]], steps: list[list[list[int]]]
) -> None:
    cases = [new_id() for _ in range(CASES)]
    events = [(Written(cases[number], behaviour=behaviour), behaviour) for number, behaviour in pool]
    engines = [store.engine() for _ in range(3)]
    model = Model()
    one_at_a_time = True

    for step in steps:
        arriving = [[events[index % len(events)] for index in batch] for batch in step]
        one_at_a_time = one_at_a_time and len(arriving) == 1
        commands = [[store.command(event) for event, _ in batch] for batch in arriving]
        await asyncio.gather(*(engine.run(batch) for engine, batch in zip(engines, commands, strict=False)))
        for batch in arriving:
            for event, behaviour in batch:
                model.take(event, behaviour)

    stored = {case: tally for case in cases if (tally := await store.tally(case)) is not None}
    waiting = [document["value"] for document in await store.aside() if document["key"].decode() in cases]
    arrived = {
        event.id: event
        for batches in steps
        for batch in batches
        for event in [events[index % len(events)][0] for index in batch]
    }
    aside = [event.id for event in arrived.values() if event.value in waiting]
    assert len(waiting) == len(aside)
    assert effects_violated(stored, list(arrived.values()), in_order=False, aside=aside) == []
    rows = [row for row in await store.rows() if row["stream"] in stored and row["topic"] != store.names.dead_letters]
    assert numbers_violated(stored, rows) == []
    if one_at_a_time:
        assert {case: list(tally.effects) for case, tally in stored.items()} == {
            case: effects for case, effects in model.effects.items() if effects
        }
        assert sorted(aside) == sorted(id_ for ids in model.aside.values() for id_ in ids)
