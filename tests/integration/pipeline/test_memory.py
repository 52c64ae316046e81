"""A backlog of any length waits at the broker and not in the memory of an instance."""

from pathlib import Path

import httpx
import pytest
from faults.instances import Instances, instances_of
from prometheus_client.parser import text_string_to_metric_families
from toy.batches import to_be_copied, write_copies
from toy.trial import Trial, eventually

from deploy.embedded.ports import free_ports

EVENTS = 2000
SHORT, LONG = 10, 500
"""Copies of the events: 20,000 records and a million."""
GROWTH_MEGABYTES = 20
BATCHES = 5000
"""Records that may be handled between two looks."""


async def handled(trial: Trial, *, at_least: int) -> int:
    records = sum((await trial.committed()).values())
    return records if records >= at_least else 0


async def lag(port: int) -> float:
    """The lag that an instance's metrics tell, of all partitions."""
    async with httpx.AsyncClient() as http:
        told = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(told)}
    return sum(sample.value for sample in families["wegweiser_lag_records"].samples)


async def peak(trial: Trial, instances: Instances, *, until: int, behind: int) -> float:
    """The most megabytes an instance holds until so many records are handled; `behind` is the lag it tells then."""
    [port] = free_ports(1)
    instance = await instances.start("--metrics", str(port)).ready()

    async def tells_its_lag() -> bool:
        done = await handled(trial, at_least=until)
        return bool(done) and await lag(port) == pytest.approx(behind - (done - until), abs=BATCHES)

    await eventually(lambda: handled(trial, at_least=until), what="its part", seconds=120, every=0.5)
    await eventually(tells_its_lag, what="the lag it tells, once it has asked for each partition", seconds=30)
    megabytes = instance.resident_megabytes
    assert await instance.stop() == 0
    return megabytes


async def test_a_million_records_do_not_grow_an_instance(trial: Trial, tmp_path: Path) -> None:
    events = [to_be_copied() for _ in range(EVENTS)]
    share = SHORT * EVENTS
    async with instances_of(trial, tmp_path) as instances:
        await write_copies(trial.kafka, trial.names.incoming, events, range(SHORT))
        short = await peak(trial, instances, until=share, behind=0)
        await write_copies(trial.kafka, trial.names.incoming, events, range(SHORT, SHORT + LONG))
        long = await peak(trial, instances, until=2 * share, behind=LONG * EVENTS - share)

    assert await trial.inbox() >= 2 * share
    print(f"{short:.0f} MB with {share} records, {long:.0f} MB with a million")
    assert long - short < GROWTH_MEGABYTES
