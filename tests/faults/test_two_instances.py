"""Two instances of a service: one dies, stands still, leaves, or both come and go all the time."""

import asyncio
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from faults.checker import violations
from faults.instances import Instances, instances_of
from toy.records import Written
from toy.run import AFTER_TRANSACTION, BEFORE_COMMIT, INSIDE_TRANSACTION, WHILE_PUBLISHING
from toy.trial import PARTITIONS, Trial, a_trial, eventually

from deploy.backends import Backends
from shared.contracts.base import new_id

TAKE_OVER_SECONDS: Final = 30

FREEZING: Final = (INSIDE_TRANSACTION, AFTER_TRANSACTION, WHILE_PUBLISHING, BEFORE_COMMIT)


async def finished(trial: Trial, effects: int) -> bool:
    return await trial.effects() == effects and await trial.unsent() == 0


async def all_partitions_at_rest(trial: Trial, records: int) -> bool:
    committed = await trial.committed()
    return len(committed) == PARTITIONS and sum(committed.values()) == records


async def test_the_other_one_takes_over_what_a_killed_instance_had_including_its_unsent_events(
    trial: Trial, instances: Instances
) -> None:
    survivor = instances.start("--batch", "5")
    victim = instances.start("--batch", "5", "--die-at", AFTER_TRANSACTION)
    await asyncio.gather(survivor.ready(), victim.ready())
    events = [Written() for _ in range(60)]
    await trial.write(*events)
    assert await victim.ended() == -signal.SIGKILL
    died = time.monotonic()

    await eventually(lambda: finished(trial, len(events)), what="the take-over", seconds=2 * TAKE_OVER_SECONDS)

    assert time.monotonic() - died < TAKE_OVER_SECONDS
    assert await violations(trial, events) == []
    assert await survivor.stop() == 0


@dataclass(frozen=True)
class Awakening:
    """What was wrong before a frozen instance woke, and after it had taken part again."""

    before: list[str]
    after: list[str]
    took_part: bool


async def freeze_at(point: str, backends: Backends, logs: Path) -> Awakening:
    """Freeze an instance at a point until another one has its partitions, then wake it."""
    async with a_trial(backends.kafka, backends.mongo) as trial, instances_of(trial, logs) as instances:
        cases = [new_id() for _ in range(6)]
        early = [Written(case) for _ in range(5) for case in cases]
        await trial.write(*early)
        sleeper = instances.start("--batch", "10", "--freeze-at", point)
        await sleeper.frozen()
        owner = instances.start("--batch", "10")
        await owner.ready()
        await eventually(lambda: finished(trial, len(early)), what=f"the new owner's end after {point}", seconds=120)
        middle = [Written(case) for _ in range(3) for case in cases]
        await trial.write(*middle)
        await eventually(lambda: finished(trial, len(early + middle)), what=f"new events after {point}", seconds=120)
        before = await violations(trial, early + middle)

        sleeper.wake()
        assignments = len(sleeper.events("partitions_assigned"))
        await eventually(lambda: reassigned(sleeper, assignments), what=f"its return after {point}", seconds=120)
        late = [Written(case) for _ in range(3) for case in cases]
        await trial.write(*late)
        await eventually(
            lambda: finished(trial, len(early + middle + late)), what=f"the end after {point}", seconds=120
        )
        return Awakening(before, await violations(trial, early + middle + late), await alive(sleeper))


async def reassigned(sleeper: "object", assignments: int) -> bool:
    return len(sleeper.events("partitions_assigned")) > assignments  # type: ignore[attr-defined]


async def alive(sleeper: "object") -> bool:
    return await sleeper.stop() == 0  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
async def awakening(backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Awakening]:
    """All points at once: most of the time goes by until the broker counts a frozen instance out."""
    logs = tmp_path_factory.mktemp("frozen")
    found = await asyncio.gather(*(freeze_at(point, backends, logs) for point in FREEZING))
    return dict(zip(FREEZING, found, strict=True))


@pytest.mark.parametrize("point", FREEZING)
async def test_an_instance_that_was_frozen_does_not_write_over_the_new_owner(
    awakening: dict[str, Awakening], point: str
) -> None:
    assert awakening[point].before == []
    assert awakening[point].after == []
    assert awakening[point].took_part


async def test_sigterm_finishes_the_batch_commits_it_and_leaves_at_once(trial: Trial, instances: Instances) -> None:
    leaving, staying = instances.start("--batch", "10"), instances.start("--batch", "10")
    await asyncio.gather(leaving.ready(), staying.ready())
    early = [Written() for _ in range(200)]
    await trial.write(*early)
    await eventually(lambda: begun(trial), what="the first effects")

    assert await leaving.stop() == 0
    assert await trial.members() == 1
    late = [Written() for _ in range(40)]
    await trial.write(*late)
    await eventually(lambda: all_partitions_at_rest(trial, 240), what="the commit of everything")

    assert await violations(trial, early + late) == []
    handled = [batch["records"] for one in (leaving, staying) for batch in one.events("batch_handled")]
    assert sum(handled) == 240, "a record was handled twice, so the batch was not committed"


async def begun(trial: Trial) -> bool:
    return await trial.effects() > 0


async def test_instances_that_come_and_go_all_the_time_lose_and_repeat_nothing(trial: Trial) -> None:
    cases = [new_id() for _ in range(10)]
    events = [Written(case) for _ in range(40) for case in cases]
    lasting = trial.pipeline(batch_records=7)
    await lasting.start()

    async def come_and_go() -> None:
        for _ in range(5):
            visitor = trial.pipeline(batch_records=7)
            await visitor.start()
            await asyncio.sleep(0.2)
            await visitor.stop()

    async def write_slowly() -> None:
        for number in range(0, len(events), 20):
            await trial.write(*events[number : number + 20])
            await asyncio.sleep(0.05)

    await asyncio.gather(come_and_go(), come_and_go(), write_slowly())
    await eventually(lambda: finished(trial, len(events)), what="the end of the storm", seconds=120)
    await lasting.stop()

    assert await violations(trial, events) == []
