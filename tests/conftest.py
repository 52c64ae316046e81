"""What all tests of a process share: one Kafka and one MongoDB, started by the first test that asks for them."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog
from hypothesis import HealthCheck, settings
from signing import SETTINGS

from deploy.backends import Backends
from deploy.backends import backends as backends_from
from deploy.embedded import ports
from deploy.embedded.ports import free_ports
from deploy.settings import BackendSettings

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("usual")

pytest.register_assert_rewrite("backend_contract", "lifecycle")

os.environ |= SETTINGS

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def own_ports() -> Iterator[None]:
    """No other process that runs tests chooses from the same ports: both could find one free before either listens."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ports, "random", SimpleNamespace(choice=lambda found: random.choice(found[number::processes])))
        yield


@pytest.fixture(autouse=True)
def own_log_lines() -> Iterator[None]:
    """Where a test sends its log lines is forgotten when it ends."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """Kafka and MongoDB: embedded on free ports by default, or as BACKEND says."""
    kafka_port, controller_port, mongo_port = free_ports(3)
    settings = BackendSettings(
        var_dir=tmp_path_factory.mktemp("backends"),
        jar_cache=ROOT / "var" / "cache" / "jars",
        kafka_port=kafka_port,
        kafka_controller_port=controller_port,
        mongo_port=mongo_port,
        mongo_cache_gb=0.25,
    )
    found = backends_from(settings)
    try:
        found.start()
        yield found
    finally:
        found.discard()


@pytest.fixture
def breakable(backends: Backends) -> Iterator[Backends]:
    """The same backends for a test that stops or kills them; what it leaves stopped is started for the next test."""
    if not backends.servers:
        pytest.skip("BACKEND=external: Kafka and MongoDB are not ours to stop")
    yield backends
    backends.start()
