"""Routing on real topics and a real database, running in this process."""

from collections.abc import AsyncIterator

import pytest
from routed import Routed, an_agreement, an_instance, routed, running

from deploy.backends import Backends


@pytest.fixture(scope="module")
async def routing(backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Routed]:
    """One for all tests of a module, each with cases of its own."""
    instance = an_instance(backends, tmp_path_factory.mktemp("routing"))
    async with routed(backends, an_agreement()) as made, running(instance):
        yield made
