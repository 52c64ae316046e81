"""What OpenAPI says about the answers, which the endpoints write themselves."""

from collections.abc import Mapping
from typing import Any, Final

from shared.contracts.codes import (
    CaseState,
    Concern,
    LegalBasisKind,
    Municipality,
    ReferralState,
    ServiceOutcome,
    SubTopic,
    Urgency,
)
from shared.contracts.codes import WithdrawalReason as Reason
from shared.web.bodies import JSON

Schema = dict[str, Any]


def _object(properties: Mapping[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": dict(properties)}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _answer(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {JSON: {"schema": schema}}}


_TEXT: Final[Schema] = {"type": "string"}
_ID: Final[Schema] = {"type": "string", "format": "uuid"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_CODE: Final[Schema] = {"enum": [code.value for code in Concern]}
_SUB_TOPIC: Final = _or_null({"enum": [code.value for code in SubTopic]})

REDIRECTED: Final[Schema] = {
    "description": "only after an asylum question: to whom the person is pointed, and in which words",
    **_object({"concern": {"const": "asylum"}, "to": {"const": "own_social_worker"}, "text": _TEXT}),
}
_RECEIPT: Final = _object(
    {
        "case_id": _ID,
        "persons": _list(_object({"ref": _TEXT, "person_id": _ID})),
        "concerns": _list(
            _object(
                {"concern_id": _ID, "code": _CODE, "sub_topic": _SUB_TOPIC, "for_person": _TEXT, "ref": _TEXT},
                optional=("ref",),
            ),
        ),
        "redirected": REDIRECTED,
    },
    optional=("redirected",),
)
_CONCERN: Final = _object(
    {
        "concern_id": _ID,
        "code": _CODE,
        "sub_topic": _SUB_TOPIC,
        "person_id": _ID,
        "after": {**_list(_ID), "description": "the concerns of the case that this one waits for"},
        "state": {"enum": ["received", *(state.value for state in ReferralState)]},
        "partner_id": _or_null(_TEXT),
        "referral_id": _or_null(_ID),
        "since": _or_null(_TIME),
        "appointment_at": _or_null(_TIME),
        "overdue": {"type": "boolean", "description": "the partner let the time to respond pass"},
        "outcome": _or_null({"enum": [outcome.value for outcome in ServiceOutcome]}),
        "sheet": {**_or_null(_TEXT), "description": "the information sheet that answers it"},
    }
)
CASE: Final = _object(
    {
        "case_id": _ID,
        "state": {"enum": [state.value for state in CaseState]},
        "withdrawn": _or_null(_object({"reason": {"enum": [reason.value for reason in Reason]}, "at": _TIME})),
        "received_at": _TIME,
        "channel": {"enum": ["referral", "walk_in", "import"]},
        "source_reference": _or_null(_TEXT),
        "referrer": _or_null(_object({"organisation": _TEXT, "staff_id": _TEXT})),
        "municipality": {"enum": [town.value for town in Municipality]},
        "languages": _list(_TEXT),
        "urgency": {"enum": [urgency.value for urgency in Urgency]},
        "respond_by": _or_null({"type": "string", "format": "date"}),
        "legal_basis": {"enum": [kind.value for kind in LegalBasisKind]},
        "concerns": _list(_CONCERN),
    }
)
_NOTE: Final = _object(
    {"note_id": _ID, "staff_id": _TEXT, "referral_id": _or_null(_ID), "text": _TEXT, "written_at": _TIME}
)

Answers = dict[int | str, dict[str, Any]]

OPENED: Final[Answers] = {
    200: _answer(
        "Asylum questions only: nothing was kept", _object({"case_id": {"type": "null"}, "redirected": REDIRECTED})
    ),
    201: _answer("The case is kept", _RECEIPT),
}
SHOWN: Final[Answers] = {200: _answer("The case", CASE)}
AMENDED: Final[Answers] = {
    200: _answer("The case as it is now", {**CASE, "properties": {**CASE["properties"], "redirected": REDIRECTED}})
}
LISTED: Final[Answers] = {200: _answer("One page", _object({"cases": _list(CASE), "next": _or_null(_TEXT)}))}
NOTED: Final[Answers] = {201: _answer("The note is kept", _object({"note_id": _ID, "written_at": _TIME}))}
NOTES: Final[Answers] = {200: _answer("One page", _object({"notes": _list(_NOTE), "next": _or_null(_TEXT)}))}
