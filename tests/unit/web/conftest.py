"""Log lines as a service writes them."""

import io
import logging
from collections.abc import Iterator

import pytest

from shared import logs


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged during the test, as JSON lines."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("intake", "json", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
