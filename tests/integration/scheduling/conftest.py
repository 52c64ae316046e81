"""A database of its own for each test of scheduling's repository."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from deploy.backends import Backends
from services.scheduling.repository import MIGRATIONS
from shared import mongo
from shared.migrations import migrate
from shared.mongo import Database
from shared.pipeline import engine, outbox, set_aside


@pytest.fixture
async def database(backends: Backends) -> AsyncIterator[Database]:
    """With all indexes of a pipeline and of scheduling."""
    client = mongo.connect(backends.mongo)
    database = client[f"scheduling-{uuid4().hex[:8]}"]
    await migrate(database, (*engine.MIGRATIONS, *outbox.MIGRATIONS, *set_aside.MIGRATIONS, *MIGRATIONS))
    yield database
    await client.drop_database(database.name)
    client.close()
