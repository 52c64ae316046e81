"""An instance that is killed, wherever it happens to be: everything accepted reaches its end, each effect once."""

import asyncio
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults.checker import violations
from faults.instances import instances_of
from toy.records import Written
from toy.run import POINTS
from toy.service import TELLS_TWO
from toy.trial import Trial, a_trial, eventually

from deploy.backends import Backends
from shared.contracts.base import new_id


@dataclass(frozen=True)
class Aftermath:
    """What a killed instance left, and what was wrong when its successor had finished."""

    ended: int
    left_over: int
    wrong: list[str]


def some_events(cases: list[str], rounds: int) -> list[Written]:
    """Events of all cases in turn; every second one is told to two partners."""
    return [Written(case, behaviour=TELLS_TWO if number % 2 else "uk") for number in range(rounds) for case in cases]


async def finished(trial: Trial, effects: int) -> bool:
    return await trial.effects() == effects and await trial.unsent() == 0


async def kill_at(point: str, backends: Backends, logs: Path) -> Aftermath:
    """Kill an instance at a point, let another one finish, and look at everything."""
    async with a_trial(backends.kafka, backends.mongo) as trial, instances_of(trial, logs) as instances:
        cases = [new_id() for _ in range(8)]
        early, late = some_events(cases, 12), some_events(cases, 2)
        await trial.write(*early)
        ended = await instances.start("--batch", "20", "--die-at", point).ended()
        left_over = len(early) - await trial.effects()
        await trial.write(*late)
        instances.start("--batch", "20")
        await eventually(lambda: finished(trial, len(early) + len(late)), what=f"the end after {point}", seconds=120)
        return Aftermath(ended, left_over, await violations(trial, [*early, *late]))


@pytest.fixture(scope="module")
async def aftermath(backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Aftermath]:
    """All points at once: most of the time goes by until the broker counts a dead instance out."""
    logs = tmp_path_factory.mktemp("killed")
    found = await asyncio.gather(*(kill_at(point, backends, logs) for point in POINTS))
    return dict(zip(POINTS, found, strict=True))


@pytest.mark.parametrize("point", POINTS)
async def test_killed_at_any_point_every_event_takes_effect_once(aftermath: dict[str, Aftermath], point: str) -> None:
    assert aftermath[point].ended == -signal.SIGKILL
    assert aftermath[point].left_over > 0
    assert aftermath[point].wrong == []
