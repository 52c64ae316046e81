"""Every route of every service says who may, lets nobody else in, and docs/security.md tells the same."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from signing import sign_in, signed

from shared.topics import DOORS, SERVICES
from shared.web.roles import OPEN, Role, access_table, require_roles

SECURITY = Path(__file__).parents[2] / "docs" / "security.md"
SETTINGS = {
    "KAFKA_BOOTSTRAP": "127.0.0.1:9",
    "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
    "MONGO_URL": "mongodb://127.0.0.1:9",
    "INTAKE_URL": "http://127.0.0.1:9",
    "MAIL_FROM": "office@example.org",
    "PARTNERS_FOLDER": "nowhere",
    "CURSOR_KEY": "a key of the tests",
    "WEBHOOK_KEY": "a key of the tests",
}


@cache
def the_app(service: str) -> FastAPI:
    """A service that was not started: who is let in is told before anything is looked up."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in SETTINGS.items():
            environment.setenv(name, value)
        app: FastAPI = import_module(f"services.{service}.app").create_app()
    app.state.sign_in = sign_in()
    return app


def guarded() -> Iterator[Any]:
    for service in DOORS:
        for route, roles in access_table(the_app(service)).items():
            if route.partition(" ")[2] not in OPEN:
                yield pytest.param(service, route, roles or frozenset(), id=f"{service} {route}")


async def asked(service: str, route: str, headers: Mapping[str, str]) -> httpx.Response:
    method, _, path = route.partition(" ")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(the_app(service)), base_url="http://door") as client:
        return await client.request(method, path.replace("{", "").replace("}", ""), headers=headers)


@pytest.mark.parametrize("service", DOORS)
def test_no_route_is_forgotten(service: str) -> None:
    require_roles(the_app(service))

    bare = {route for route, roles in access_table(the_app(service)).items() if roles is None}
    assert bare == {"GET /docs", "* /docs/static", "GET /health/live", "GET /health/ready"}


@pytest.mark.parametrize(("service", "route", "roles"), list(guarded()))
async def test_a_route_is_closed_to_everybody_else(service: str, route: str, roles: frozenset[Role]) -> None:
    nobody = await asked(service, route, {})
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
    assert nobody.headers["content-type"] == "application/problem+json"

    assert roles
    for role in set(Role) - roles:
        other = await asked(service, route, signed(role))
        assert (other.status_code, other.headers["content-type"]) == (403, "application/problem+json"), role
        assert nobody.json()["instance"] != other.json()["instance"]


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json", "/metrics"])
async def test_an_operator_reads_what_a_service_says_of_itself(path: str) -> None:
    assert (await asked("intake", f"GET {path}", signed(Role.OPERATOR))).status_code == 200


async def test_what_is_open_holds_nothing() -> None:
    page = await asked("intake", "GET /docs", {})
    script = await asked("intake", "GET /docs/static/swagger-ui-bundle.js", {})

    assert (page.status_code, script.status_code) == (200, 200)
    assert "/v1/" not in page.text
    assert (await asked("intake", "GET /health/live", {})).status_code == 200
    assert (await asked("intake", "GET /health/ready", {})).json()["checks"]["sign_in"] is False


def test_the_guide_tells_who_may() -> None:
    """Where this fails, the lines belong into docs/security.md in place of those that stand there."""
    rows: dict[str, frozenset[Role]] = {}
    everywhere = set.intersection(*({*access_table(the_app(service)).items()} for service in SERVICES))
    for service in DOORS:
        for route, roles in access_table(the_app(service)).items():
            if roles:
                rows[f"{'every service' if (route, roles) in everywhere else service} | `{route}`"] = roles
    lines = [
        "| service | route | " + " | ".join(f"`{role}`" for role in Role) + " |",
        "| --- " * (len(Role) + 2) + "|",
        *(
            f"| {row} | " + " | ".join("yes" if role in roles else "–" for role in Role) + " |"
            for row, roles in rows.items()
        ),
    ]

    table = "\n".join(lines)
    assert table in SECURITY.read_text(encoding="utf-8"), table
