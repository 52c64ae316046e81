"""Whether the sample cases reached an end that their expectations allow: what `make demo` succeeds or fails by."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from shared.contracts.codes import ReferralState
from shared.web.loopback import DIRECT

OFFICE: Final = "office"
PATIENCE: Final = 10.0
"""Seconds intake may take to answer."""


def unmet(intake_url: str, auth: httpx.Auth, expected: Path) -> list[str]:
    """One readable line for each expectation of the file that is not met, none when all are.

    The file is made by examples/intake/convert.py. Raises `httpx.HTTPError` where intake does not answer.
    """
    lines: list[str] = []
    with httpx.Client(base_url=intake_url, auth=auth, timeout=PATIENCE, mounts=DIRECT) as intake:
        for reference, expectation in json.loads(expected.read_text(encoding="utf-8")).items():
            answer = intake.get("/v1/cases", params={"source_reference": reference}).raise_for_status()
            lines += unmet_of(expectation, answer.json()["cases"], reference)
    return lines


def unmet_of(expectation: Mapping[str, Any], cases: Sequence[Mapping[str, Any]], reference: str) -> list[str]:
    """What of one expectation the cases with this reference do not meet."""
    allowed = {
        code: outcome["allowed"]
        for code, outcome in expectation["divisions"][expectation["divided_like"]]["concerns"].items()
    }
    if len(cases) != bool(allowed):
        return [f"{reference}: cases found: {len(cases)}, expected: {int(bool(allowed))}"]
    concerns = [concern for case in cases for concern in case["concerns"]]
    codes = {concern["code"] for concern in concerns}
    missing = [f"{reference}: {code} is missing" for code in allowed if code not in codes]
    unexpected = [f"{reference}: {code} should not be there" for code in codes if code not in allowed]
    misplaced = [
        f"{reference}: {concern['code']} is {_whereabouts(concern)} instead of scheduled with, or cleared by: "
        + ", ".join(allowed[concern["code"]])
        for concern in concerns
        if concern["code"] in allowed and _taker(concern) not in allowed[concern["code"]]
    ]
    return missing + unexpected + misplaced


def _taker(concern: Mapping[str, Any]) -> str | None:
    """Who has it for good: the partner it is scheduled with, or the office that clears it."""
    if concern["state"] == ReferralState.CLEARING:
        return OFFICE
    partner: str | None = concern["partner_id"]
    return partner if concern["state"] == ReferralState.SCHEDULED else None


def _whereabouts(concern: Mapping[str, Any]) -> str:
    return f"{concern['state']} with {concern['partner_id'] or OFFICE}"
