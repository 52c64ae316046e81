"""Cases as senders write them; a test names only what it is about."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from services.intake.domain.cases import IntakeCase
from services.intake.domain.decisions import open_case
from services.intake.domain.requests import NewCase
from shared.contracts.base import new_id

NOW: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def a_person(ref: str = "p1", relation: str = "self", **said: Any) -> dict[str, Any]:
    """A grown-up unless something else is said."""
    return {"ref": ref, "relation": relation, "given_name": "Olena", "birth_date": "1990-05-01", **said}


def a_concern(code: str = "german_course", for_person: str = "p1", **said: Any) -> dict[str, Any]:
    """A German course for the main person unless something else is said."""
    return {"code": code, "for_person": for_person, **said}


def a_body(**said: Any) -> dict[str, Any]:
    """The smallest case."""
    return {
        "municipality": "Eschborn",
        "persons": [a_person()],
        "concerns": [a_concern()],
        "legal_basis": {"kind": "public_task"},
        **said,
    }


def a_case(**said: Any) -> NewCase:
    """The same, read."""
    return NewCase.model_validate_json(json.dumps(a_body(**said)))


def an_open_case(**said: Any) -> IntakeCase:
    """The same, taken in."""
    state = open_case(a_case(**said), new_id(), NOW, ("caritas", "diakonie")).state
    assert state is not None
    return state
