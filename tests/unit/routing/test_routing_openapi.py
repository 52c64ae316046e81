"""Developers of the office's page read the interface from its OpenAPI document."""

from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from routing_builders import a_routed_case
from signing import sign_in

from services.routing.api.agreements import PATH, agreements_router
from services.routing.api.capacities import capacities_router
from services.routing.api.clearing import clearing_router
from services.routing.api.explanations import explanations_router
from services.routing.api.views import shown
from services.routing.app import create_app
from services.routing.settings import RoutingSettings
from shared.contracts.codes import Concern
from shared.web.equipment import equip


def the_document() -> dict[str, Any]:
    nothing = cast(Any, None)
    app = FastAPI()
    equip(app, dict, sign_in())
    app.include_router(clearing_router(nothing, nothing, nothing, nothing))
    app.include_router(explanations_router(nothing, nothing))
    app.include_router(capacities_router(nothing))
    app.include_router(agreements_router(nothing, ""))
    return app.openapi()


def of_every_route() -> list[dict[str, Any]]:
    paths = the_document()["paths"]
    return [operation for path, methods in paths.items() if path.startswith("/v1/") for operation in methods.values()]


def test_every_route_needs_a_role_and_documents_its_answer_and_its_problems() -> None:
    assert len(of_every_route()) == 11
    for operation in of_every_route():
        assert operation["security"][0]["signIn"]
        assert "application/problem+json" in operation["responses"]["default"]["content"]
        assert "422" not in operation["responses"]
        assert "$ref" in operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert operation["description"]


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("claim", {"instead_of"}),
        ("assign", {"partner_id", "reason"}),
        ("close", {"reason"}),
    ],
)
def test_every_body_is_documented_without_references(what: str, fields: set[str]) -> None:
    operation = the_document()["paths"][f"/v1/clearing/{{referral_id}}/{what}"]["post"]

    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == fields
    assert "$ref" not in str(schema)


def test_an_activation_is_documented_by_both_of_its_answers() -> None:
    answers = the_document()["paths"][PATH]["post"]["responses"]

    assert {
        status: answer["content"]["application/json"]["schema"] for status, answer in answers.items() if "20" in status
    } == {status: {"$ref": "#/components/schemas/ActivationView"} for status in ("200", "201")}


async def test_the_service_reads_larger_agreements_than_other_bodies(tmp_path: Path) -> None:
    nowhere = {
        "kafka_bootstrap": "127.0.0.1:9",
        "kafka_security_protocol": "PLAINTEXT",
        "mongo_url": "mongodb://127.0.0.1:9",
    }
    app = create_app(RoutingSettings(**nowhere))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://routing") as http:
        answers = [await http.post(path, content=b" " * 1_000_000) for path in (PATH, "/v1/clearing/1/claim")]

    assert [answer.status_code for answer in answers] == [401, 413]


def test_what_the_list_can_be_filtered_by_is_documented() -> None:
    parameters = {each["name"]: each for each in the_document()["paths"]["/v1/clearing"]["get"]["parameters"]}

    assert set(parameters) == {
        "reason", "code", "municipality", "urgency", "claimed_by", "claimed_days", "unclaimed", "sort",
        "cursor", "limit",
    }  # fmt: skip
    assert "requestBody" not in the_document()["paths"]["/v1/referrals/{referral_id}/answer"]["post"]
    assert "requestBody" not in the_document()["paths"]["/v1/clearing/{referral_id}/release"]["post"]


def test_a_referral_is_documented_as_it_is_shown() -> None:
    case = a_routed_case(Concern.DEBT)
    view = shown(case, case.referrals[0], None).model_dump()

    assert set(the_document()["components"]["schemas"]["ReferralView"]["properties"]) == set(view)
