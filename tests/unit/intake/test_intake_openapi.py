"""Developers on the other side read the interface from its OpenAPI document."""

from typing import Any, cast

from fastapi import FastAPI
from intake_builders import an_open_case
from signing import sign_in

from services.intake.api.cases import cases_router
from services.intake.api.imports import imports_router
from services.intake.api.notes import notes_router
from services.intake.api.persons import persons_router
from services.intake.domain.views import shown
from shared.web.equipment import equip
from shared.web.roles import with_alternatives


def the_document() -> dict[str, Any]:
    nothing = cast(Any, None)
    app = FastAPI()
    equip(app, dict, sign_in())
    for router in (
        cases_router(nothing, nothing, nothing),
        notes_router(nothing, nothing, nothing),
        imports_router(nothing),
        persons_router(nothing),
    ):
        app.include_router(router)
    return with_alternatives(app.openapi())


def test_a_body_that_the_endpoint_reads_itself_is_documented_without_references() -> None:
    paths = the_document()["paths"]
    operation = paths["/v1/cases"]["post"]

    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert "$ref" not in str(schema)
    assert "Eschborn" in schema["properties"]["municipality"]["enum"]
    assert "asylum" in schema["properties"]["concerns"]["items"]["properties"]["code"]["enum"]
    assert "self_help" in schema["properties"]["concerns"]["items"]["properties"]["code"]["enum"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["Idempotency-Key"]
    noted = paths["/v1/cases/{case_id}/notes"]["post"]
    assert {parameter["name"] for parameter in noted["parameters"]} == {"case_id", "Idempotency-Key"}


def test_every_route_documents_its_problems() -> None:
    paths = the_document()["paths"]
    for path in (path for name, path in paths.items() if name.startswith("/v1/")):
        for operation in path.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert "422" not in operation["responses"]


def answers(path: str, method: str, status: int = 200) -> dict[str, Any]:
    [(media_type, content)] = the_document()["paths"][path][method]["responses"][str(status)]["content"].items()
    return {"media_type": media_type, "properties": sorted(content["schema"].get("properties", ()))}


def test_every_answer_is_documented() -> None:
    as_json = {"media_type": "application/json"}
    opened = ["case_id", "concerns", "persons", "redirected"]
    assert answers("/v1/cases", "post", 201) == {**as_json, "properties": opened}
    assert answers("/v1/cases", "post", 200) == {**as_json, "properties": ["case_id", "redirected"]}
    assert answers("/v1/cases", "get") == {**as_json, "properties": ["cases", "next"]}
    assert "redirected" in answers("/v1/cases/{case_id}/amend", "post")["properties"]
    assert answers("/v1/cases/{case_id}/notes", "post", 201) == {**as_json, "properties": ["note_id", "written_at"]}
    assert answers("/v1/cases/{case_id}/notes", "get") == {**as_json, "properties": ["next", "notes"]}
    outcome = ["case_id", "line", "problem", "redirected", "status"]
    assert answers("/v1/cases:import", "post") == {"media_type": "application/x-ndjson", "properties": outcome}
    assert answers("/metrics", "get")["media_type"].startswith("text/plain")
    assert answers("/health/ready", "get", 503) == {
        "media_type": "application/problem+json",
        "properties": ["checks"],
    }
    imports = the_document()["paths"]["/v1/cases:import"]["post"]["responses"]["200"]["description"]
    assert "at most 100 lines" in imports


def test_a_case_is_documented_as_it_is_shown() -> None:
    documented = the_document()["paths"]["/v1/cases/{case_id}"]["get"]["responses"]["200"]["content"]
    view = shown(an_open_case())

    schema = documented["application/json"]["schema"]
    assert set(schema["properties"]) == set(view)
    assert set(schema["properties"]["concerns"]["items"]["properties"]) == set(view["concerns"][0])


def test_a_route_says_which_role_is_enough() -> None:
    document = the_document()

    assert document["components"]["securitySchemes"]["signIn"]["scheme"] == "bearer"
    assert document["paths"]["/v1/persons:batchGet"]["post"]["security"] == [{"signIn": ["service"]}]
    either = [{"signIn": [role]} for role in ("front_desk", "service", "social_worker")]
    assert document["paths"]["/v1/cases"]["post"]["security"] == either
    assert "security" not in document["paths"]["/health/live"]["get"]
