"""An agreement for tests of the life cycle: short terms, a sheet, several takers, reports of capacity, closing days."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from services.routing.domain.agreement import OFFICE, Agreement, Agreements

NOW: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A Monday."""


def a_partner(name: str, **fields: Any) -> Mapping[str, Any]:
    """A partner of ten working days' response and two days' grace unless told otherwise."""
    return {"id": name, "name": name, "response_days": 10, "places": ["house"], "needs": [], **fields}


def a_rule(name: str, *fields: str, **criteria: Any) -> Mapping[str, Any]:
    """A rule of these fields of work."""
    return {"id": name, "fields": fields, "basis": "assumption", "why": "a test", **criteria}


def an_agreement(*entries: Mapping[str, Any], **fields: Any) -> Agreements:
    """One term from 2020 to 2039 with these partners and rules."""
    term = {
        "version": "2020-01-01",
        "valid_from": date(2020, 1, 1),
        "valid_to": date(2039, 12, 31),
        "basis": "assumption",
        "why": "a test",
        "partners": [entry for entry in entries if "places" in entry],
        "rules": [entry for entry in entries if "places" not in entry],
    }
    return Agreements((Agreement.model_validate(term | fields),))


CLOSED: Final = {"first": date(2026, 12, 1), "last": date(2026, 12, 4)}
TERMS: Final = an_agreement(
    a_partner("caritas", response_days=3, languages=["de", "ar"]),
    a_partner("diakonie", response_days=2, grace_days=0, closed=[CLOSED]),
    a_partner("awo", response_days=5, grace_days=3),
    a_partner("vhs", response_days=1, capacity="reported"),
    a_partner("schuldnerberatung", response_days=4),
    a_rule("general", "general", takers=[OFFICE, "caritas", "diakonie"], turn=["language", "load"]),
    a_rule("work", "job_search", takers=["awo", "caritas", "diakonie"], turn=["load"]),
    a_rule("home", "housing_search", takers=["awo"], hand_on_to=["caritas", "vhs"], response_days=1),
    a_rule("care", "childcare", takers=["awo", "diakonie"]),
    a_rule("courses", "german_course", "integration_course", takers=["vhs"]),
    a_rule("money", "debt", takers=["schuldnerberatung"], hand_on_to=["awo"]),
    a_rule("help", "self_help", sheet="sheet-help"),
)
