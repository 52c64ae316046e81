"""One gateway, one partner and its receiver for each test."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from receiver import Receiver, receiving
from running_gateway import Gateway, Partner, a_gateway

from deploy.backends import Backends
from deploy.embedded.ports import free_ports


@pytest.fixture
def partner_id() -> str:
    return f"p-{uuid4().hex[:8]}"


@pytest.fixture
def receiver_ports() -> Sequence[int]:
    """Where the partner's receivers may be: the gateway is told before they run."""
    return free_ports(2)


@pytest.fixture
async def gateway(
    backends: Backends, tmp_path: Path, partner_id: str, receiver_ports: Sequence[int]
) -> AsyncIterator[Gateway]:
    if not backends.servers:
        pytest.skip("BACKEND=external: users and rights are not ours")
    hosts = {partner_id: [f"localhost:{port}" for port in receiver_ports]}
    async with a_gateway(backends, tmp_path, hosts) as running:
        yield running
        await running.app.state.service.database.client.drop_database("gateway")


@pytest.fixture
async def partner(gateway: Gateway, partner_id: str) -> AsyncIterator[Partner]:
    made = Partner(gateway, partner_id)
    await made.let_in()
    yield made
    await made.is_gone()


@pytest.fixture
async def receiver(receiver_ports: Sequence[int]) -> AsyncIterator[Receiver]:
    async with receiving(port=receiver_ports[0]) as running:
        yield running
