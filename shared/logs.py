"""Log lines: JSON in production, readable on a terminal; ids and counts, never names.

Errors of drivers and validators print whole documents, so an exception is logged as class names and file:line frames
only, never by its text. That holds for the lines of libraries as well, which all pass through here.
"""

import json
import logging
import sys
from collections import Counter
from collections.abc import MutableMapping
from datetime import date
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any, Final, Literal, TextIO

import structlog

LogFormat = Literal["json", "console", "auto"]

_HOME: Final = str(Path(__file__).parents[1]) + "/"
_LIBRARIES: Final = ("/site-packages/", "/lib/python3")
_PLAIN: Final = (str, int, float, bool, type(None), list, tuple, dict)

log = structlog.get_logger()


def configure(service: str, log_format: LogFormat, stream: TextIO = sys.stdout) -> None:
    """Send every line of this process to `stream`; `auto` is readable on a terminal and JSON elsewhere."""
    readable = log_format == "console" or (log_format == "auto" and stream.isatty())

    def name_service(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line["service"] = service
        return line

    render: structlog.typing.Processor = structlog.dev.ConsoleRenderer(colors=stream.isatty()) if readable else as_json
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            name_service,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            name_errors,
            keep_plain,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(stream),
    )
    # Below WARNING, drivers log commands and documents.
    logging.basicConfig(handlers=[LibraryLines()], level=logging.WARNING, force=True)
    sys.excepthook = _log_crash


def as_json(_: Any, __: str, line: MutableMapping[str, Any]) -> str:
    """The line as one JSON object."""
    return _JSON.encode(line)


class LibraryLines(logging.Handler):
    """Passes on what libraries log; without its text where an exception is attached, for that is pasted into it.

    The same text is passed on once in `PAUSE` seconds, with the number of times it was left out before: while the
    broker is away its clients say the same a hundred times a second, and would fill the disk.
    """

    PAUSE: Final = 10.0
    REMEMBERED: Final = 1000

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record of the standard library's kind as one of our lines."""
        level = min(record.levelno // 10 * 10, logging.CRITICAL)
        said = {"logger": record.name, "line": record.lineno}
        if record.exc_info:
            log.log(level, "library_failed", **said, exc_info=record.exc_info)
            return
        text = _text_of(record)
        if record.created < self._said.get(text, 0) + self.PAUSE:
            self._left_out[text] += 1
            return
        if len(self._said) >= self.REMEMBERED:
            self._said.clear()
            self._left_out.clear()
        self._said[text] = record.created
        log.log(level, text, **said, left_out=self._left_out.pop(text, 0))


def name_errors(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace `exc_info` by `errors`: class and frames of the exception, then of those that led to it."""
    attached = line.pop("exc_info", None)
    if attached is True:
        attached = sys.exc_info()
    error = attached[1] if isinstance(attached, tuple) else attached
    if isinstance(error, BaseException):
        line["errors"] = _chain(error)
    return line


def keep_plain(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what is neither text nor number by the name of its class: its text is not ours to know."""
    for key, value in line.items():
        if not isinstance(value, _PLAIN):
            line[key] = _plain(value)
    return line


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else type(value).__name__


_JSON: Final = json.JSONEncoder(ensure_ascii=False, default=_plain)  # made once: a line a request


def _text_of(record: logging.LogRecord) -> str:
    if isinstance(record.args, tuple):
        record.args = tuple(type(arg).__name__ if isinstance(arg, BaseException) else arg for arg in record.args)
    return record.getMessage()


def _chain(error: BaseException) -> list[str]:
    named: list[str] = []
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        frames = [f"{_short(frame.f_code.co_filename)}:{line}" for frame, line in walk_tb(current.__traceback__)]
        kind = type(current)
        named.append(f"{kind.__module__}.{kind.__qualname__} at {' > '.join(frames) or 'unknown'}")
        waiting += [*getattr(current, "exceptions", ()), current.__cause__, current.__context__]
    return named


def _short(path: str) -> str:
    for start in _LIBRARIES:
        if start in path:
            return path.rpartition(start)[2]
    return path.removeprefix(_HOME)


def _log_crash(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.critical("process_crashed", exc_info=(kind, error, frames))
