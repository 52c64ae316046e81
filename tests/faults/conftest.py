"""Trials of the toy service whose processes and backends break."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from faults.instances import Instances, instances_of
from toy.trial import Trial, a_trial

from deploy.backends import Backends


@pytest.fixture
async def trial(backends: Backends) -> AsyncIterator[Trial]:
    """The toy with topics and database of its own."""
    async with a_trial(backends.kafka, backends.mongo) as made:
        yield made


@pytest.fixture
async def instances(trial: Trial, tmp_path: Path) -> AsyncIterator[Instances]:
    """Processes of the toy."""
    async with instances_of(trial, tmp_path) as made:
        yield made
