"""Developers on the other side read the interface from its OpenAPI document."""

from typing import Any, cast

from fastapi import FastAPI

from services.intake.api.cases import cases_router
from services.intake.api.imports import imports_router
from services.intake.api.persons import persons_router


def the_document() -> dict[str, Any]:
    nothing = cast(Any, None)
    app = FastAPI()
    for router in (cases_router(nothing, nothing, nothing), imports_router(nothing), persons_router(nothing, "token")):
        app.include_router(router)
    return app.openapi()


def test_a_body_that_the_endpoint_reads_itself_is_documented_without_references() -> None:
    operation = the_document()["paths"]["/v1/cases"]["post"]

    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert "$ref" not in str(schema)
    assert "Eschborn" in schema["properties"]["municipality"]["enum"]
    assert "asylum" in schema["properties"]["concerns"]["items"]["properties"]["code"]["enum"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["Idempotency-Key"]


def test_every_route_documents_its_problems() -> None:
    for path in the_document()["paths"].values():
        for operation in path.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert "422" not in operation["responses"]
