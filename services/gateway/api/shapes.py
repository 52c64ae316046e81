"""What OpenAPI says of events and replies: the types there are, and what each of them holds."""

from typing import Any, Final

from services.gateway.domain.replies import TYPES, Reply
from shared.contracts import BY_TYPE, CONTRACTS, Contract
from shared.contracts.routing import PARTNER_TOPIC
from shared.contracts.schemas import schema_of
from shared.web.bodies import JSON, inlined

STRUCTURED: Final = "application/cloudevents+json"
_TEXT: Final = {"type": "string"}
_ATTRIBUTES: Final = {
    **dict.fromkeys(("specversion", "id", "source", "subject", "sequence", "correlationid", "causationid"), _TEXT),
    **dict.fromkeys(("traceparent", "datacontenttype"), _TEXT),
    "time": {"type": "string", "format": "date-time"},
    "dataschema": {"type": "string", "format": "uri-reference"},
}


def told_event() -> dict[str, Any]:
    """An event of a partner's queue, in structured mode."""
    contracts = [contract for contract in CONTRACTS if contract.topic == PARTNER_TOPIC]
    return {"oneOf": [_of(contract, _ATTRIBUTES, [*_ATTRIBUTES, "type", "data"]) for contract in contracts]}


def reply_body() -> dict[str, Any]:
    """The body of a request that brings a reply; a route passes it as `openapi_extra`."""
    reply = inlined(Reply.model_json_schema())
    shapes = [_of(BY_TYPE[type_], reply["properties"], reply["required"]) for type_ in TYPES]
    content = {media_type: {"schema": {"oneOf": shapes}} for media_type in (STRUCTURED, JSON)}
    return {"requestBody": {"required": True, "content": content}}


def _of(contract: Contract, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    own = {"type": {"const": contract.type}, "data": inlined(schema_of(contract))}
    return {
        "title": contract.event.__name__,
        "type": "object",
        "properties": {**properties, **own},
        "required": required,
    }
