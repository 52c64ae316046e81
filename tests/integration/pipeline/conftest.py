"""A trial of the toy service for each test."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from toy.trial import Trial, a_trial

from deploy.backends import Backends


@pytest.fixture
async def trial(backends: Backends) -> AsyncIterator[Trial]:
    """The toy with topics and database of its own."""
    async with a_trial(backends.kafka, backends.mongo) as made:
        yield made


@pytest.fixture
async def store(backends: Backends) -> AsyncIterator[Trial]:
    """The toy without topics, for what needs the database alone."""
    async with a_trial(backends.kafka, backends.mongo, topics=False) as made:
        yield made


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """The log lines of the test."""
    with structlog.testing.capture_logs() as lines:
        yield lines
    print(*lines, sep="\n")
