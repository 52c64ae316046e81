"""A database of its own for each test that asks for one."""

from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest

from deploy.backends import Backends
from shared import mongo
from shared.migrations import Migration, migrate
from shared.mongo import Database
from shared.pipeline import engine, outbox, set_aside


@pytest.fixture
def migrations() -> Sequence[Migration]:
    """What a service adds to the pipeline's own; a folder of tests says it by a fixture of this name."""
    return ()


@pytest.fixture
async def database(backends: Backends, migrations: Sequence[Migration]) -> AsyncIterator[Database]:
    """With all indexes of a pipeline and of the service at hand."""
    client = mongo.connect(backends.mongo)
    database = client[f"test-{uuid4().hex[:8]}"]
    await migrate(database, (*engine.MIGRATIONS, *outbox.MIGRATIONS, *set_aside.MIGRATIONS, *migrations))
    yield database
    await client.drop_database(database.name)
    client.close()
