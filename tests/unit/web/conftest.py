"""Log lines as a service writes them."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from shared import logs
from shared.web import access


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged during the test, as JSON lines."""
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure("intake", "json", stream)
    for module in (access, logs):  # the one in use keeps the stream of its first line
        monkeypatch.setattr(module, "log", structlog.get_logger())
    yield stream
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)
