"""Webhooks in a database of their own."""

from collections.abc import AsyncIterator, Sequence

import pytest
from sending import Clock, Office

from services.gateway.webhooks.migrations import MIGRATIONS
from shared.migrations import Migration
from shared.mongo import Database


@pytest.fixture
def migrations() -> Sequence[Migration]:
    return MIGRATIONS


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    office = Office(database, Clock())
    yield office
    await office.close()
