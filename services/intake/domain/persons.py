"""What is kept of a person, in field groups that can be opened one by one. Nothing of it leaves for the bus."""

from collections.abc import Mapping
from typing import Any

from services.intake.domain.requests import Languages, NewCase, SaidConcern, SaidPerson

Record = dict[str, Any]
"""A document of the vault, or the fields of one that change, by dotted name."""


def records_of(case: NewCase, case_id: str, ids: Mapping[str, str], concern_ids: list[str]) -> tuple[Record, ...]:
    """A record for each person. What belongs to the household as a whole stands with the main person."""
    notes = notes_of(case.concerns, concern_ids)
    return tuple(
        {
            "_id": ids[person.ref],
            "case_id": case_id,
            "identity": person.model_dump(mode="json", exclude={"ref", "relation", "target_groups"}),
            "household": {"relation": person.relation},
            "notes": {"concerns": notes.get(person.ref, {})},
            **(_of_household(case, notes.get(person.ref, {})) if person.relation == "self" else {}),
        }
        for person in case.persons
    )


def notes_of(concerns: tuple[SaidConcern, ...], concern_ids: list[str]) -> dict[str, dict[str, str]]:
    """The notes by the ref of the person and the id of the concern."""
    notes: dict[str, dict[str, str]] = {}
    for concern, concern_id in zip(concerns, concern_ids, strict=True):
        if concern.note is not None:
            notes.setdefault(concern.for_person, {})[concern_id] = concern.note
    return notes


def main_person(persons: tuple[SaidPerson, ...]) -> SaidPerson:
    """The one the office talks to."""
    return next(person for person in persons if person.relation == "self")


def for_messages(record: Record) -> dict[str, Any]:
    """What a message to a person needs; contact and languages stand with the main person of a case."""
    identity, contact = record["identity"], record.get("contact", {})
    return {
        "person_id": record["_id"],
        "given_name": identity["given_name"] or "",
        "family_name": identity["family_name"] or "",
        "phone": contact.get("phone"),
        "email": contact.get("email"),
        "may_contact_by": contact.get("may_contact_by", []),
        "languages": Languages.model_validate(record.get("languages", {}), strict=False).in_order,
    }


def _of_household(case: NewCase, notes: dict[str, str]) -> Record:
    return {
        "contact": {
            "address": case.address.model_dump(mode="json") if case.address else None,
            **(case.contact.model_dump(mode="json") if case.contact else {}),
        },
        "languages": case.languages.model_dump(mode="json"),
        "notes": {"concerns": notes, "free_text": case.free_text},
    }
