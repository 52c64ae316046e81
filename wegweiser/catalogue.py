"""The catalogue of what a partner receives and sends: each event in words, by its fields, and with an example."""

import json
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from inspect import getdoc
from typing import Any, Final

from shared.contracts import CONTRACTS, Contract, Event
from shared.contracts.base import PARTNER_PATTERN, UUID_PATTERN
from shared.contracts.partners import TOPIC as REPLIES
from shared.contracts.partners import CapacityReported
from shared.contracts.routing import PARTNER_TOPIC as QUEUE
from shared.contracts.routing import ReferralAmended, ReplyRejected
from shared.contracts.schemas import schema_of

_HEAD: Final = """# Events

What a partner receives and sends, with an example of each. `wegweiser events` prints this file from the contracts; do
not edit it. The same as AsyncAPI: `wegweiser asyncapi partner ID`; as JSON Schemas: `shared/contracts/schemas/`. How to
deal with them is told in [the guide](partners.md).

An event travels as a CloudEvent: `ce_` headers in Kafka, members of the same names without the prefix over HTTP. Its
data has the fields below. Fields and types you do not know are to be ignored. What may be null is null where there is
nothing to say, and missing in events from before there was such a field.
"""
_CONCERN: Final = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
_PERSON: Final = "3d813cbb-47fb-42ba-91df-831e1593ac29"
_VALUES: Final[Mapping[str, Any]] = {
    "partner_id": "awo",
    "referral_id": "0d0b5f1e-6a1c-4b53-9f0a-2b7d4c3e1a90",
    "case_id": "b6c7d8e9-1f2a-4c3b-8d4e-5f60718293a4",
    "person_id": _PERSON,
    "appointment_id": "9b2f6c1d-3e4a-4f5b-a6c7-d8e9f0a1b2c3",
    "rejection_id": "4c1d2e3f-5a6b-4c7d-8e9f-0a1b2c3d4e5f",
    "agreement": "2017-07-01",
    "rules": ["debt"],
    "concerns": [{"concern_id": _CONCERN, "code": "debt", "person_id": _PERSON, "age_band": "27-64"}],
    "codes": ["debt"],
    "code": "debt",
    "languages": ["ar", "de"],
    "needs": ["interpreter_by_phone"],
    "respond_by": "2017-09-11",
    "expires_on": "2017-09-18",
    "answer_by": "2017-09-13",
    "review_on": "2017-10-02",
    "reopen_until": "2018-03-01",
    "valid_until": "2017-09-30",
    "starts_at": "2017-09-14T08:30:00Z",
    "minutes": 45,
    "place": "integrationsbuero",
    "partition": 3,
    "offset": 4711,
    "to": "caritas",
}
"""By the name of a field, which means the same in every event."""
_TEXTS: Final = {
    "date": "day",
    "date-time": "moment",
    UUID_PATTERN: "UUID",
    PARTNER_PATTERN: "a partner's id",
}
"""By format or pattern."""
_OF: Final[Mapping[type[Event], Mapping[str, Any]]] = {
    ReferralAmended: {"concerns": [_CONCERN]},
    ReplyRejected: {"reason": "wrong_state", "state": "accepted", "expected": ["offered"]},
    CapacityReported: {"status": "limited", "places": 3},
}


def catalogue() -> str:
    """All of it, in Markdown."""
    parts = [
        _HEAD,
        f"## What you receive\n\nOn `{_named(QUEUE)}`, under the referral id, or `reply.rejected` under its own.\n",
    ]
    parts += map(_entry, _on(QUEUE))
    parts.append(
        f"## What you send\n\nOn `{_named(REPLIES)}`, under the referral id; your capacity under your own id.\n"
    )
    parts += map(_entry, _on(REPLIES))
    return "\n".join(parts)


def example(event: type[Event]) -> Event:
    """A valid one, made of values that are nobody's."""
    known = {**_VALUES, **_OF.get(event, {})}
    return event.model_validate(
        {
            name: known[name] if name in known else _first_of(field.annotation)
            for name, field in event.model_fields.items()
            if name in known or field.is_required()
        }
    )


def _on(topic: str) -> Iterable[Contract]:
    return (contract for contract in CONTRACTS if contract.topic == topic)


def _named(topic: str) -> str:
    return topic.format(partner_id="<id>")


def _first_of(codes: Any) -> Enum:
    first: Enum = next(iter(codes))
    return first


def _entry(contract: Contract) -> str:
    data = example(contract.event).model_dump_json()
    return "\n".join(
        [
            f"### `{contract.type}`",
            "",
            " ".join((getdoc(contract.event) or "").split()),
            "",
            "| field | what |",
            "| --- | --- |",
            *_rows(schema_of(contract)),
            "",
            "```json",
            json.dumps(json.loads(data), indent=2, ensure_ascii=False),
            "```",
            "",
        ]
    )


def _rows(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, words in _fields(schema, schema.get("$defs", {})):
        yield f"| `{name}` | {words} |"


def _fields(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What may stand in each field, and whether it has to be there."""
    for name, field in schema["properties"].items():
        optional = "; may be null or missing" if _may_be_null(field) else "; may be missing"
        yield name, _what(field, definitions) + ("" if name in schema.get("required", []) else optional)


def _may_be_null(field: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "null" for one in field.get("anyOf", []))


def _what(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What may stand in a field, in a few words."""
    if "$ref" in field:
        return _what(definitions[field["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in field:
        return " or ".join(_what(one, definitions) for one in field["anyOf"] if one.get("type") != "null")
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        return f"list of: {_what(field['items'], definitions)}"
    if field.get("type") == "object":
        return ", ".join(f"`{name}` ({words})" for name, words in _fields(field, definitions))
    if field.get("type") == "integer":
        return f"number, {field['minimum']} to {field['maximum']}"
    return _TEXTS.get(field.get("format") or field["pattern"]) or f"text, `{field['pattern']}`"
