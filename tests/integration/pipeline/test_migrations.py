"""Migrations: applied once each, also when instances start at the same moment or the store comes up late."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from toy.trial import MIGRATIONS

from deploy.backends import Backends
from shared import mongo
from shared.migrations import Migration, migrate
from shared.mongo import Database, UnavailableError


@pytest.fixture
async def instances(backends: Backends) -> AsyncIterator[list[Database]]:
    """The empty database of one service, as three instances of it see it."""
    clients = [mongo.connect(backends.mongo) for _ in range(3)]
    name = f"toy-{uuid4().hex[:8]}"
    yield [client[name] for client in clients]
    await clients[0].drop_database(name)
    for client in clients:
        client.close()


async def applied(database: Database) -> list[str]:
    return [row["_id"] async for row in database["migrations"].find()]


@pytest.mark.parametrize("attempt", range(3))
async def test_instances_that_start_together_may_all_migrate(instances: list[Database], attempt: int) -> None:
    await asyncio.gather(*(migrate(database, MIGRATIONS) for database in instances))

    assert await applied(instances[0]) == [migration.id for migration in MIGRATIONS]
    for name in ("inbox", "outbox", "set_aside"):
        assert len(await instances[0][name].index_information()) > 1


async def test_what_is_applied_is_not_applied_again(instances: list[Database]) -> None:
    applications = []

    async def apply(_: Database) -> None:
        applications.append(1)

    steps = [Migration("once", apply)]
    for database in instances:
        await migrate(database, steps)

    assert len(applications) == 1


async def test_a_step_that_fails_is_applied_again(instances: list[Database]) -> None:
    failures = [UnavailableError("the store is coming up")]

    async def apply(_: Database) -> None:
        if failures:
            raise failures.pop()

    await migrate(instances[0], [Migration("patient", apply)])

    assert await applied(instances[0]) == ["patient"]


async def test_marks_and_bytes_are_not_kept_for_ever(instances: list[Database]) -> None:
    await migrate(instances[0], MIGRATIONS)

    kept = {
        name: [index["expireAfterSeconds"] for index in indexes.values() if "expireAfterSeconds" in index]
        for name in ("inbox", "outbox", "set_aside")
        for indexes in [await instances[0][name].index_information()]
    }
    assert kept == {"inbox": [37 * 86400], "outbox": [37 * 86400], "set_aside": [90 * 86400]}


async def test_the_journal_lets_go_of_what_belongs_to_no_case_once_it_was_sent(instances: list[Database]) -> None:
    await migrate(instances[0], MIGRATIONS)

    indexes = await instances[0]["outbox"].index_information()

    [ending] = [index for index in indexes.values() if "expireAfterSeconds" in index]
    assert (ending["key"], dict(ending["partialFilterExpression"])) == ([("sent_at", 1)], {"sequence": 0})
