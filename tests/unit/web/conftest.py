"""Log lines as a service writes them."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from shared import logs


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged during the test, as JSON lines."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("intake", "json", stream)
    monkeypatch.setattr(logs, "log", structlog.get_logger())  # the one in use keeps the stream of its first line
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
