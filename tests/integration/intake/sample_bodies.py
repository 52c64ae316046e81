"""Bodies as senders write them; a test names only what it is about."""

from typing import Any
from uuid import uuid4


def a_person(ref: str = "p1", relation: str = "self", **said: Any) -> dict[str, Any]:
    """A grown-up with a name."""
    return {"ref": ref, "relation": relation, "given_name": "Olena", "birth_date": "1990-05-01", **said}


def a_concern(code: str = "german_course", for_person: str = "p1", **said: Any) -> dict[str, Any]:
    """A German course for the main person unless something else is said."""
    return {"code": code, "for_person": for_person, **said}


def a_body(**said: Any) -> dict[str, Any]:
    """A case of one person with one concern."""
    return {
        "municipality": "Eschborn",
        "referrer": {"organisation": "Jobcenter", "staff_id": "sw-001"},
        "persons": [a_person()],
        "concerns": [a_concern()],
        "legal_basis": {"kind": "public_task", "covers_partners": "all", "covers_concerns": "all"},
        **said,
    }


def a_reference() -> str:
    """A reference nobody used before."""
    return f"IC-{uuid4()}"
