"""What a partner without Kafka is told of events and replies: the shapes that the contracts have."""

import json
from importlib import import_module
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from signing import sign_in, signed

from services.gateway.domain.replies import TYPES
from shared.contracts import BY_TYPE, CONTRACTS, Contract
from shared.contracts.routing import PARTNER_TOPIC
from shared.web.roles import Role
from wegweiser.catalogue import example
from wegweiser.scenario import letter

SETTINGS = {
    "MONGO_URL": "mongodb://127.0.0.1:9",
    "PARTNERS_FOLDER": "nowhere",
    "CURSOR_KEY": "a key for cursors of the tests",
    "WEBHOOK_KEY": "a key for webhooks of the tests",
}
RECEIVED = [contract for contract in CONTRACTS if contract.topic == PARTNER_TOPIC]


@pytest.fixture(scope="module")
async def document() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in SETTINGS.items():
            environment.setenv(name, value)
        app: FastAPI = import_module("services.gateway.app").create_app()
    app.state.sign_in = sign_in()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        answer = await http.get("/openapi.json", headers=signed(Role.PARTNER))
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def problems(schema: dict[str, Any], value: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema).iter_errors(value)]


@pytest.mark.parametrize("contract", RECEIVED, ids=lambda contract: contract.type)
def test_every_event_of_the_queue_fits_what_the_document_says(document: dict[str, Any], contract: Contract) -> None:
    told = letter(example(contract.event))
    attributes = {name.removeprefix("ce_"): value.decode() for name, value in told.headers}
    attributes["datacontenttype"] = attributes.pop("content-type")
    event = {**attributes, "data": json.loads(told.value or b"")}

    schema = document["components"]["schemas"]["Events"]["properties"]["events"]["items"]
    assert problems(schema, event) == []
    assert problems(schema, {**event, "data": {}}) != []


@pytest.mark.parametrize("type_", TYPES)
def test_every_reply_fits_what_the_document_says(document: dict[str, Any], type_: str) -> None:
    said = example(BY_TYPE[type_].event).model_dump(mode="json")

    content = document["paths"]["/v1/partners/{partner_id}/replies"]["post"]["requestBody"]["content"]
    schema = content["application/cloudevents+json"]["schema"]
    assert problems(schema, {"id": "1", "type": type_, "data": said}) == []
    assert problems(schema, {"id": "1", "type": type_, "data": {}}) != []
    assert problems(schema, {"id": "1", "type": "de.integrationsbuero.reply.sung.v1", "data": said}) != []
