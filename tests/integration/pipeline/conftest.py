"""A trial of the toy service for each test."""

from collections.abc import AsyncIterator

import pytest
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
