"""Cases stream in while everything is killed, stopped and frozen: all of them reach their end, each effect once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from random import Random

import pytest
import pytest_asyncio

from e2e.breaking import frozen, kill, ready, replace, seconds_of
from e2e.consistency import Accepted, violations
from e2e.platforms import Running, a_platform
from e2e.stream import streaming
from e2e.waiting import eventually
from shared.topics import SERVICES
from wegweiser.platform import partners

PATIENCE = 90.0
SEED = 20170109


@pytest_asyncio.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A platform of its own, broken often and read to the last record. What a killed notify was sending is given up
    after seconds instead of minutes, and there is a slot for everybody."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SENDING_SECONDS", "15")
        environment.setenv("HORIZON_DAYS", "365")
        async with a_platform(tmp_path_factory.mktemp("chaos")) as made:
            yield made


@pytest.fixture(scope="module")
def accepted() -> list[Accepted]:
    """Of all tests: what one of them left in order stays so."""
    return []


async def test_killed_services_and_partners_lose_and_double_nothing(running: Running, accepted: list[Accepted]) -> None:
    async def killed(name: str) -> None:
        chance = Random(f"{SEED}/{name}")
        for at_work in (True, False, True) if name in SERVICES else (False,):
            if at_work:
                await ready(running, name)
            await asyncio.sleep(chance.uniform(0, 3))
            if at_work and name == "notify":
                await more_mail(len(running.mails))
            await kill(running, name)

    async def more_mail(than: int) -> None:
        """Mails leave in small groups: when one has just gone out, the next is on its way."""

        async def gone_out() -> bool:
            return stream.has_ended or len(running.mails) > than

        await eventually(gone_out)

    async with streaming(running.settings.url_of("intake"), running.staff, seed="killed services") as stream:
        await asyncio.gather(*map(killed, (*SERVICES, *(f"partner-{id_}" for id_ in partners()), "mail")))

    accepted += stream.accepted
    assert await violations(running, accepted, patience=PATIENCE) == []


async def test_killed_broker_and_database_lose_and_double_nothing(running: Running, accepted: list[Accepted]) -> None:
    chance = Random(SEED)

    async with streaming(running.settings.url_of("intake"), running.staff, seed="killed backends") as stream:
        for name in ("mongod", "kafka", "mongod"):  # what comes next may find the last one still starting
            await asyncio.sleep(chance.uniform(1, 3))
            await kill(running, name)
        await stream.one_goes_through()

    accepted += stream.accepted
    assert await violations(running, accepted, patience=PATIENCE) == []


async def test_frozen_services_wake_beside_their_successors_and_write_over_nothing(
    running: Running, accepted: list[Accepted]
) -> None:
    chance = Random(SEED)

    async with (
        streaming(running.settings.url_of("intake"), running.staff, seed="frozen services") as stream,
        AsyncExitStack() as stack,
    ):
        await asyncio.sleep(chance.uniform(1, 3))
        async with frozen(running, SERVICES):
            seconds = await stack.enter_async_context(seconds_of(running, SERVICES))
            stream.doors += [second.url for second in seconds if second.name == "intake"]
            await stream.one_goes_through()
        for name in chance.sample(SERVICES, len(SERVICES)):
            await replace(running, name)
        await stream.one_goes_through()

    accepted += stream.accepted
    assert await violations(running, accepted, patience=PATIENCE) == []
