"""Converts an export of the district's own system to what intake imports, and its expectations to what we check.

    python examples/intake/convert.py EXPORT.jsonl [DIRECTORY]

writes `cases.ndjson` (one case a line, for `POST /v1/cases:import`) and `expected.json` (who may receive each concern)
into the directory, by default beside this file. The cases are invented.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

Row = Mapping[str, Any]

SAME_IN_BOTH: Final = (
    "channel",
    "received_at",
    "municipality",
    "referrer",
    "persons",
    "address",
    "contact",
    "languages",
    "concerns",
    "legal_basis",
    "wishes",
    "urgency",
    "respond_by",
    "free_text",
)
AGREEMENTS: Final = ("2017-01-09", "2017-07-01")
FOLLOW_ON: Final = "follow_on_assumed_like_"
REDIRECTED: Final = "redirected"


def case_of(row: Row) -> dict[str, Any]:
    """The case as intake imports it. Intake knows the main person by the relation `self`, the export by its ref."""
    selves = [person["ref"] for person in row["persons"] if person["relation"] == "self"]
    if selves != [row["main_person"]]:
        raise ValueError(f"{row['case_no']}: the main person is not the one with the relation 'self'")
    return {"source_reference": row["case_no"]} | {name: row[name] for name in SAME_IN_BOTH}


def expectation_of(row: Row) -> dict[str, Any]:
    """What the agreement in force on arrival allows, and for comparison what each of the two divisions does."""
    expected = row["expected"]
    divisions = {version: _division(expected[version]) for version in AGREEMENTS}
    per_concern = expected[AGREEMENTS[0]]["per_concern"]
    return {
        "divided_like": expected["agreement_in_force_on_arrival"].removeprefix(FOLLOW_ON),
        "divisions": divisions,
        REDIRECTED: [code for code, outcome in per_concern.items() if outcome["allowed"] == [REDIRECTED]],
        "needs_at_booking": expected["wishes_reach_booking_as_codes"],
        "never_on_bus_or_in_logs": expected["privacy"]["never_on_bus_or_in_logs"],
    }


def _division(expected: Row) -> dict[str, Any]:
    return {
        "concerns": {
            code: {name: outcome[name] for name in ("allowed", "preferred", "certainty")}
            for code, outcome in expected["per_concern"].items()
            if outcome["allowed"] != [REDIRECTED]
        },
        "partner_referrals": [expected["partner_referrals_min"], expected["partner_referrals_max"]],
    }


def convert(export: Path, directory: Path) -> None:
    """Read the export and write both files, one case a line."""
    with export.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    cases = "".join(_line(case_of(row)) + "\n" for row in rows)
    expected = ",\n".join(f"{_line(row['case_no'])}: {_line(expectation_of(row))}" for row in rows)
    (directory / "cases.ndjson").write_text(cases, encoding="utf-8")
    (directory / "expected.json").write_text(f"{{\n{expected}\n}}\n", encoding="utf-8")


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    convert(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else Path(__file__).parent)
