"""A log line holds ids and counts; what an exception says is not for it."""

import io
import json
import logging

import structlog

from shared import logs

SECRET = "Özlem Işık"


def fail() -> None:
    try:
        {}[SECRET]
    except KeyError as error:
        raise ValueError(f"about {SECRET}") from error


def test_an_exception_is_its_classes_and_frames(lines: io.StringIO) -> None:
    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("case_failed", case_id="1")

    line = json.loads(lines.getvalue())
    assert SECRET not in lines.getvalue()
    assert (line["event"], line["service"], line["level"], line["case_id"]) == ("case_failed", "intake", "error", "1")
    outer, inner = line["errors"]
    assert outer.startswith("builtins.ValueError at tests/unit/web/test_logs.py:")
    assert inner.startswith("builtins.KeyError at tests/unit/web/test_logs.py:")


def test_errors_in_a_group_are_named(lines: io.StringIO) -> None:
    structlog.get_logger().error("group_failed", exc_info=ExceptionGroup(SECRET, [OSError(SECRET), KeyError(SECRET)]))

    assert SECRET not in lines.getvalue()
    assert [error.split()[0] for error in json.loads(lines.getvalue())["errors"]] == [
        "builtins.ExceptionGroup",
        "builtins.OSError",
        "builtins.KeyError",
    ]


def test_a_value_that_is_no_plain_value_is_its_class(lines: io.StringIO) -> None:
    structlog.get_logger().info("case_failed", error=ValueError(SECRET), several=[ValueError(SECRET)])

    line = json.loads(lines.getvalue())
    assert (line["error"], line["several"]) == ("ValueError", ["ValueError"])


def test_a_library_cannot_log_what_an_exception_says(lines: io.StringIO) -> None:
    library = logging.getLogger("aiokafka")

    library.warning("gave up: %s", ValueError(SECRET))
    try:
        fail()
    except ValueError as error:
        library.exception(f"gave up: {error}")
    library.info("sending %s", SECRET)

    warned, failed = map(json.loads, lines.getvalue().splitlines())
    assert SECRET not in lines.getvalue()
    assert (warned["event"], warned["logger"]) == ("gave up: ValueError", "aiokafka")
    assert (failed["event"], len(failed["errors"])) == ("library_failed", 2)


def test_a_library_that_repeats_itself_is_heard_now_and_then(lines: io.StringIO) -> None:
    library = logs.LibraryLines()
    for second, text in ((0, "no broker"), (1, "no broker"), (2, "no broker"), (3, "no disk"), (11, "no broker")):
        library.emit(logging.makeLogRecord({"msg": text, "created": 1e9 + second, "levelno": logging.WARNING}))

    said = [(line["event"], line["left_out"]) for line in map(json.loads, lines.getvalue().splitlines())]
    assert said == [("no broker", 0), ("no disk", 0), ("no broker", 2)]


def test_the_readable_form_holds_no_more(lines: io.StringIO) -> None:
    logs.configure("intake", "console", lines)

    structlog.get_logger().error("case_failed", error=ValueError(SECRET), exc_info=ValueError(SECRET))

    assert "case_failed" in lines.getvalue()
    assert SECRET not in lines.getvalue()
