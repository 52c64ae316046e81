"""What counts as an end that an expectation allows."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from wegweiser.expectations import unmet, unmet_of


def expecting(**allowed: list[str]) -> dict[str, Any]:
    concerns = {code: {"allowed": takers} for code, takers in allowed.items()}
    return {"divided_like": "2017-07-01", "divisions": {"2017-07-01": {"concerns": concerns}}}


def a_case(**concerns: tuple[str, str | None]) -> dict[str, Any]:
    return {
        "concerns": [
            {"code": code, "state": state, "partner_id": partner} for code, (state, partner) in concerns.items()
        ]
    }


@pytest.mark.parametrize(
    ("allowed", "state", "partner"),
    [(["awo"], "scheduled", "awo"), (["awo", "office"], "clearing", None), (["awo", "office"], "scheduled", "awo")],
)
def test_an_allowed_end_is_met(allowed: list[str], state: str, partner: str | None) -> None:
    assert unmet_of(expecting(debt=allowed), [a_case(debt=(state, partner))], "IC-1") == []


@pytest.mark.parametrize(
    ("state", "partner", "whereabouts"),
    [
        ("scheduled", "vhs", "scheduled with vhs"),
        ("accepted", "awo", "accepted with awo"),
        ("received", None, "received with office"),
        ("clearing", None, "clearing with office"),
    ],
)
def test_another_end_is_named(state: str, partner: str | None, whereabouts: str) -> None:
    [line] = unmet_of(expecting(debt=["awo"]), [a_case(debt=(state, partner))], "IC-1")

    assert line == f"IC-1: debt is {whereabouts} instead of scheduled with, or cleared by: awo"


def test_a_concern_that_is_missing_is_named() -> None:
    assert unmet_of(expecting(debt=["awo"]), [a_case()], "IC-1") == ["IC-1: debt is missing"]


def test_a_redirected_concern_must_not_be_there() -> None:
    found = [a_case(debt=("scheduled", "awo"), asylum=("clearing", None))]

    assert unmet_of(expecting(debt=["awo"]), found, "IC-1") == ["IC-1: asylum should not be there"]


def test_a_case_of_redirected_concerns_only_must_not_exist() -> None:
    assert unmet_of(expecting(), [], "IC-1") == []
    assert unmet_of(expecting(), [a_case()], "IC-1") == ["IC-1: cases found: 1, expected: 0"]


def test_a_case_that_was_never_stored_is_named() -> None:
    assert unmet_of(expecting(debt=["awo"]), [], "IC-1") == ["IC-1: cases found: 0, expected: 1"]


@pytest.fixture
def intake() -> Iterator[str]:
    """An intake that knows the case IC-1 only."""
    known: Mapping[str, Any] = {"IC-1": [a_case(debt=("scheduled", "awo"))]}

    class Intake(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            [reference] = parse_qs(urlsplit(self.path).query)["source_reference"]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"cases": known.get(reference, [])}).encode())

        def log_message(self, *args: Any) -> None:
            """Nothing to tell."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Intake) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_intake_is_asked_for_each_case_of_the_file(intake: str, tmp_path: Path) -> None:
    file = tmp_path / "expected.json"
    file.write_text(json.dumps({"IC-1": expecting(debt=["awo"]), "IC-2": expecting(debt=["awo"])}), encoding="utf-8")

    assert unmet(intake, httpx.Auth(), file) == ["IC-2: cases found: 0, expected: 1"]
