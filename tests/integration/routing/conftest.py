"""What the database of these tests has besides the pipeline's own."""

from collections.abc import Sequence

import pytest

from services.routing.repository import MIGRATIONS
from shared.migrations import Migration


@pytest.fixture
def migrations() -> Sequence[Migration]:
    return MIGRATIONS
