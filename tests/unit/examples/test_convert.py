"""The sample cases and the converter that makes them from the district's export."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

INTAKE: Final = Path(__file__).parents[3] / "examples" / "intake"
OUTCOME: Final = {"allowed": ["awo"], "preferred": ["awo"], "certainty": "source", "why": "a test"}
REDIRECTED: Final = {"allowed": ["redirected"], "preferred": ["redirected"], "certainty": "source", "why": "a test"}
DIVISION: Final = {
    "per_concern": {"job_search": OUTCOME, "asylum": REDIRECTED},
    "partner_referrals_min": 1,
    "partner_referrals_max": 1,
}
PERSON: Final = {"ref": "p1", "relation": "self", "given_name": "Ada"}


def an_export(**changes: Any) -> dict[str, Any]:
    return {
        "case_no": "IC-900",
        "channel": "referral",
        "received_at": "2026-02-18T08:10:22+01:00",
        "received_at_utc": "2026-02-18T07:10:22Z",
        "municipality": "Kriftel",
        "postcode": "65830",
        "main_person": "p1",
        "persons": [PERSON],
        "address": None,
        "contact": {"phone": None, "email": None, "may_contact_by": []},
        "languages": {"first": "fr"},
        "referrer": None,
        "concerns": [{"code": "job_search", "for_person": "p1", "note": "eine Notiz\u2028in zwei Zeilen"}],
        "legal_basis": {"kind": "public_task", "covers_partners": "all", "covers_concerns": "all"},
        "wishes": ["step_free_access"],
        "urgency": "normal",
        "respond_by": None,
        "free_text": "ein Text",
        "expected": {
            "case_kind": "mixed_with_asylum",
            "agreement_in_force_on_arrival": "follow_on_assumed_like_2017-07-01",
            "2017-01-09": DIVISION,
            "2017-07-01": DIVISION,
            "privacy": {"never_on_bus_or_in_logs": ["Ada"]},
            "later": None,
            "wishes_reach_booking_as_codes": ["step_free_access"],
        },
    } | changes


def run(directory: Path, *rows: Mapping[str, Any]) -> "subprocess.CompletedProcess[str]":
    export = directory / "export.jsonl"
    export.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    command = [sys.executable, str(INTAKE / "convert.py"), str(export), str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def lines_of(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def test_a_case_takes_the_shape_of_the_import(tmp_path: Path) -> None:
    export = an_export()

    assert run(tmp_path, export).returncode == 0

    [case] = lines_of(tmp_path / "cases.ndjson")
    left_out = {"case_no", "received_at_utc", "postcode", "main_person", "expected"}
    assert case == {"source_reference": "IC-900"} | {key: export[key] for key in export.keys() - left_out}


def test_the_expectation_keeps_both_divisions_and_sets_redirected_concerns_apart(tmp_path: Path) -> None:
    run(tmp_path, an_export())

    division = {
        "concerns": {"job_search": {"allowed": ["awo"], "preferred": ["awo"], "certainty": "source"}},
        "partner_referrals": [1, 1],
    }
    assert json.loads((tmp_path / "expected.json").read_text(encoding="utf-8")) == {
        "IC-900": {
            "divided_like": "2017-07-01",
            "divisions": {"2017-01-09": division, "2017-07-01": division},
            "redirected": ["asylum"],
            "needs_at_booking": ["step_free_access"],
            "never_on_bus_or_in_logs": ["Ada"],
        }
    }


def test_a_main_person_that_intake_would_not_recognise_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, an_export(main_person="p2"))

    assert done.returncode != 0
    assert "IC-900: the main person is not the one with the relation 'self'" in done.stderr


def test_the_files_in_the_repository_hold_the_same_48_cases() -> None:
    references = [case["source_reference"] for case in lines_of(INTAKE / "cases.ndjson")]
    expected = json.loads((INTAKE / "expected.json").read_text(encoding="utf-8"))

    assert references == list(expected)
    assert len(set(references)) == 48


@pytest.mark.parametrize("case", lines_of(INTAKE / "cases.ndjson"), ids=lambda case: case["source_reference"])
def test_every_sample_case_holds_something_that_must_never_travel(case: Mapping[str, Any]) -> None:
    expected = json.loads((INTAKE / "expected.json").read_text(encoding="utf-8"))[case["source_reference"]]

    canary = expected["never_on_bus_or_in_logs"][0]

    assert canary.startswith("KANARI-")
    assert canary in case["free_text"]
