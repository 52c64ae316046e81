"""A backlog of any length waits at the broker and not in the memory of an instance."""

from pathlib import Path

from faults.instances import instances_of
from toy.batches import write_copies
from toy.records import Written
from toy.trial import Trial, eventually

BACKLOG = 300_000
HANDLED = 20_000
EVENTS = 3000
GROWTH_MEGABYTES = 60


async def committed(trial: Trial, records: int) -> bool:
    return sum((await trial.committed()).values()) >= records


async def test_a_long_backlog_does_not_grow_an_instance(trial: Trial, tmp_path: Path) -> None:
    events = [Written() for _ in range(EVENTS)]
    await write_copies(trial.kafka, trial.names.incoming, events, BACKLOG // EVENTS)

    async with instances_of(trial, tmp_path) as instances:
        instance = await instances.start().ready()
        idle = instance.resident_megabytes
        await eventually(lambda: committed(trial, HANDLED), what="a part of the backlog", seconds=60, every=0.5)
        grown = instance.resident_megabytes - idle

    assert await trial.effects() == EVENTS
    print(f"{idle:.0f} MB idle, {grown:.0f} MB more under {BACKLOG} records")
    assert grown < GROWTH_MEGABYTES
