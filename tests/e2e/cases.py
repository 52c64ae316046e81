"""Cases to send, the way a district's system would."""

from typing import Any
from uuid import uuid4


def a_case(**said: Any) -> dict[str, Any]:
    """One adult who reads Ukrainian and looks for a German course; name what the test is about."""
    return {
        "source_reference": f"TEST-{uuid4()}",
        "channel": "referral",
        "municipality": "Eppstein",
        "referrer": {"organisation": "Sozialer Dienst des Kreises", "staff_id": "sw-900"},
        "persons": [a_person("p1", "self")],
        "contact": {"email": f"{uuid4().hex}@example.org", "may_contact_by": ["email"]},
        "languages": {"first": "uk", "reads": "uk"},
        "concerns": [{"code": "german_course", "for_person": "p1"}],
        "legal_basis": {"kind": "public_task", "covers_partners": "all", "covers_concerns": "all"},
        **said,
    }


def a_person(ref: str, relation: str, **said: Any) -> dict[str, Any]:
    return {
        "ref": ref,
        "relation": relation,
        "given_name": "Olena",
        "family_name": "Beispiel",
        "birth_year": 1990,
        "birth_precision": "year",
        **said,
    }
