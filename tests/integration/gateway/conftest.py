"""One gateway and one partner for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from running_gateway import Gateway, Partner, a_gateway

from deploy.backends import Backends


@pytest.fixture
async def gateway(backends: Backends, tmp_path: Path) -> AsyncIterator[Gateway]:
    if not backends.servers:
        pytest.skip("BACKEND=external: users and rights are not ours")
    async with a_gateway(backends, tmp_path) as running:
        yield running
        await running.app.state.service.database.client.drop_database("gateway")


@pytest.fixture
async def partner(gateway: Gateway) -> AsyncIterator[Partner]:
    made = Partner(gateway)
    await made.let_in()
    yield made
    await made.is_gone()
