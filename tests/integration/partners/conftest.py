"""A partner whose software is tried out."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from candidates import Candidate, a_candidate

from deploy.backends import Backends


@pytest.fixture
async def candidate(backends: Backends, tmp_path: Path) -> AsyncIterator[Candidate]:
    async with a_candidate(backends, tmp_path) as made:
        yield made
