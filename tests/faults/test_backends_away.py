"""Kafka and MongoDB stop, crash and come back: what was accepted before and meanwhile reaches its end."""

import asyncio
from typing import Final

import httpx
import pytest
from fastapi import FastAPI
from faults.checker import violations
from faults.instances import Instance, Instances
from signing import sign_in
from toy.records import Written
from toy.trial import Trial, eventually, running

from deploy.backends import Backends
from shared.contracts.base import new_id
from shared.web.equipment import equip

LONGEST_STOP: Final = 60.0
"""Seconds an operator waits for a service to end; Kubernetes and systemd are set to more."""

ENDINGS: Final = ("stop", "kill")


async def finished(trial: Trial, effects: int) -> bool:
    return await trial.effects() == effects and await trial.unsent() == 0


async def logged(instance: Instance, event: str) -> bool:
    return bool(instance.events(event))


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_broker_that_goes_and_comes_back_loses_nothing(
    trial: Trial, instances: Instances, breakable: Backends, ending: str
) -> None:
    assert breakable.broker is not None
    cases = [new_id() for _ in range(5)]
    early, meanwhile, late = ([Written(case) for _ in range(4) for case in cases] for _ in range(3))
    instance = await instances.start("--batch", "10").ready()
    await trial.write(*early)
    await eventually(lambda: finished(trial, len(early)), what="the beginning")

    await asyncio.to_thread(getattr(breakable.broker, ending))
    await trial.engine().run([trial.command(event) for event in meanwhile])
    await asyncio.to_thread(breakable.broker.start)
    await trial.write(*late)
    everything = early + meanwhile + late
    await eventually(lambda: finished(trial, len(everything)), what="the end", seconds=90)

    assert await violations(trial, everything) == []
    assert await instance.stop() == 0


@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_instance_is_ready_only_while_the_broker_answers(
    trial: Trial, breakable: Backends, ending: str
) -> None:
    assert breakable.broker is not None
    pipeline, app = trial.pipeline(), FastAPI()
    equip(app, pipeline.readiness, sign_in())
    async with (
        running(pipeline),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://toy") as door,
    ):

        async def answers(status: int) -> bool:
            return (await door.get("/health/ready")).status_code == status

        await eventually(lambda: answers(200), what="readiness")
        await asyncio.to_thread(getattr(breakable.broker, ending))
        await eventually(lambda: answers(503), what="the outage noticed", seconds=15)
        await asyncio.to_thread(breakable.broker.start)
        await eventually(lambda: answers(200), what="readiness again", seconds=30)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_a_store_that_goes_and_comes_back_loses_nothing(
    trial: Trial, instances: Instances, breakable: Backends, ending: str
) -> None:
    assert breakable.database is not None
    cases = [new_id() for _ in range(5)]
    early, meanwhile, late = ([Written(case) for _ in range(40) for case in cases] for _ in range(3))
    instance = await instances.start("--batch", "10").ready()
    await trial.write(*early)
    await eventually(lambda: begun(trial), what="the beginning")

    await asyncio.to_thread(getattr(breakable.database, ending))
    await trial.write(*meanwhile)
    await eventually(lambda: logged(instance, "sweep_put_off"), what="the outage noticed", seconds=60)
    await asyncio.to_thread(breakable.database.start)
    await trial.write(*late)
    everything = early + meanwhile + late
    await eventually(lambda: finished(trial, len(everything)), what="the end", seconds=90)

    assert await violations(trial, everything) == []
    assert await trial.aside() == []
    assert await instance.stop() == 0


async def begun(trial: Trial) -> bool:
    return await trial.effects() > 0


async def test_an_instance_can_be_stopped_and_another_started_while_everything_is_away(
    trial: Trial, instances: Instances, breakable: Backends
) -> None:
    leaving = await instances.start("--batch", "10").ready()
    events = [Written() for _ in range(300)]
    await trial.write(*events)
    await eventually(lambda: begun(trial), what="the beginning")

    await asyncio.gather(*(asyncio.to_thread(server.kill) for server in breakable.servers))
    coming = instances.start("--batch", "10")
    await eventually(lambda: logged(leaving, "sweep_put_off"), what="the outage noticed", seconds=60)
    assert await leaving.stop(seconds=LONGEST_STOP) == 0
    await eventually(lambda: logged(coming, "store_not_ready"), what="the waiting", seconds=60)

    await asyncio.to_thread(breakable.start)
    await eventually(lambda: finished(trial, len(events)), what="the end", seconds=90)

    assert await violations(trial, events) == []
