"""The whole platform, started once for all tests of this folder and stopped after them."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from e2e.platforms import Running, a_platform


@pytest_asyncio.fixture(scope="package")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with a_platform(tmp_path_factory.mktemp("platform")) as made:
        yield made
