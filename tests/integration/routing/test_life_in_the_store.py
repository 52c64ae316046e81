"""The same lives as in memory, behind the real engine and repository, two instances at once every now and then."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from lifecycle.agreements import NOW
from lifecycle.machine import Life
from lifecycle.worlds import Stored, World

from deploy.backends import Backends
from services.routing.repository import MIGRATIONS
from shared import mongo
from shared.migrations import migrate
from shared.mongo import Database
from shared.pipeline import engine, outbox, set_aside


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """The machine is no coroutine; its steps run on a loop of their own."""
    with asyncio.Runner() as runner:
        yield runner


async def dropped(client: Any, name: str) -> None:
    await client.drop_database(name)


@pytest.fixture
def store(backends: Backends, runner: asyncio.Runner) -> Iterator[Database]:
    """A database on that loop."""

    async def made() -> tuple[Any, Database]:
        client = mongo.connect(backends.mongo)
        database = client[f"test-{uuid4().hex[:8]}"]
        await migrate(database, (*engine.MIGRATIONS, *outbox.MIGRATIONS, *set_aside.MIGRATIONS, *MIGRATIONS))
        return client, database

    client, database = runner.run(made())
    yield database
    runner.run(dropped(client, database.name))
    client.close()


def test_states_guards_and_owners_agree_with_the_model(
    store: Database, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LifeInTheStore(Life):
        """After each step the case is read from the store."""

        def a_world(self) -> World:
            return Stored(NOW, store, runner, monkeypatch)

    run_state_machine_as_test(
        LifeInTheStore,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            phases=(Phase.generate,),  # to make a failure smaller is for the machine in memory, which is fast
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
