"""Input as a crashed or late writer produces it: repeated, late, out of order."""

import random
from dataclasses import dataclass

from faults.checker import violations
from toy.records import Written
from toy.trial import Trial, eventually, running

from shared.contracts.base import new_id


@dataclass(frozen=True)
class Input:
    """What is written, and the order of first arrival."""

    written: list[Written]
    arrived: list[Written]


def shuffled(events: list[Written], *, seed: int) -> Input:
    """Every event once to three times, anywhere."""
    chance = random.Random(seed)
    written = [event for event in events for _ in range(chance.randint(1, 3))]
    chance.shuffle(written)
    return Input(written, list({event.id: event for event in written}.values()))


async def finished(trial: Trial, effects: int) -> bool:
    return await trial.effects() == effects and await trial.unsent() == 0


async def test_repeated_late_and_reordered_events_take_effect_once_in_the_order_of_arrival(trial: Trial) -> None:
    cases = [new_id() for _ in range(5)]
    given = shuffled([Written(case) for _ in range(20) for case in cases], seed=7)

    async with running(trial.pipeline(batch_records=13), trial.pipeline(batch_records=13)):
        for number in range(0, len(given.written), 30):
            await trial.write(*given.written[number : number + 30])
        await eventually(lambda: finished(trial, 100), what="all effects")
        await trial.write(*given.written)
        last = Written()
        await trial.write(last)
        await eventually(lambda: finished(trial, 101), what="the last effect")

    assert await violations(trial, [*given.arrived, last]) == []
