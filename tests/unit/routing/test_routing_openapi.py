"""Developers of the office's page read the interface from its OpenAPI document."""

from typing import Any, cast

import pytest
from fastapi import FastAPI
from routing_builders import a_routed_case
from signing import sign_in

from services.routing.api.capacities import capacities_router
from services.routing.api.clearing import clearing_router
from services.routing.api.explanations import explanations_router
from services.routing.api.views import shown
from shared.contracts.codes import Concern
from shared.web.equipment import equip


def the_document() -> dict[str, Any]:
    nothing = cast(Any, None)
    app = FastAPI()
    equip(app, dict, sign_in())
    app.include_router(clearing_router(nothing, nothing, nothing, nothing))
    app.include_router(explanations_router(nothing, nothing))
    app.include_router(capacities_router(nothing))
    return app.openapi()


def of_every_route() -> list[dict[str, Any]]:
    paths = the_document()["paths"]
    return [operation for path, methods in paths.items() if path.startswith("/v1/") for operation in methods.values()]


def test_every_route_needs_a_role_and_documents_its_answer_and_its_problems() -> None:
    assert len(of_every_route()) == 8
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


def test_what_the_list_can_be_filtered_by_is_documented() -> None:
    parameters = {each["name"]: each for each in the_document()["paths"]["/v1/clearing"]["get"]["parameters"]}

    assert set(parameters) == {
        "reason", "code", "municipality", "urgency", "claimed_by", "unclaimed", "sort", "cursor", "limit"
    }  # fmt: skip
    assert "requestBody" not in the_document()["paths"]["/v1/referrals/{referral_id}/answer"]["post"]
    assert "requestBody" not in the_document()["paths"]["/v1/clearing/{referral_id}/release"]["post"]


def test_a_referral_is_documented_as_it_is_shown() -> None:
    case = a_routed_case(Concern.DEBT)
    view = shown(case, case.referrals[0], None).model_dump()

    assert set(the_document()["components"]["schemas"]["ReferralView"]["properties"]) == set(view)
