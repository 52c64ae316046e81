"""A misspelt or repeated parameter is refused by every route of every service, never passed over."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI
from signing import sign_in, signed

from shared.topics import SERVICES
from shared.web.roles import Role

MISSPELT: Final = "unclaimd"


@pytest.fixture(params=SERVICES)
def app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FastAPI:
    """A service as it is wired; nothing connects."""
    for name, value in {
        "KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "MONGO_URL": "mongodb://127.0.0.1:1",
        "INTAKE_URL": "http://127.0.0.1:1",
        "MAIL_FROM": "office@example.org",
    }.items():
        monkeypatch.setenv(name, value)
    made: FastAPI = import_module(f"services.{request.param}.app").create_app()
    made.state.sign_in = sign_in()
    return made


@pytest.fixture
def http(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=signed(*Role))


def routes(app: FastAPI) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Method, path and query parameters of every route of ours, as they are documented."""
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            if path.startswith("/v1/"):
                yield method, path, [each for each in operation.get("parameters", ()) if each["in"] == "query"]


async def errors(http: httpx.AsyncClient, method: str, path: str, query: list[tuple[str, str]]) -> list[Any]:
    answer = await http.request(method, path, params=query)
    assert answer.status_code == 422, (method, path, query, answer.text)
    found: list[Any] = answer.json()["errors"]
    return found


async def test_a_misspelt_parameter_is_named_with_those_there_are(app: FastAPI, http: httpx.AsyncClient) -> None:
    for method, path, parameters in routes(app):
        [error] = await errors(http, method, path, [(MISSPELT, "true")])

        names = [parameter["name"] for parameter in parameters]
        expected = f"one of {', '.join(names)}" if names else "no parameter: there are none here"
        assert error == {"parameter": MISSPELT, "detail": expected}, path


async def test_a_repeated_parameter_is_named_unless_it_is_a_list(app: FastAPI, http: httpx.AsyncClient) -> None:
    lists = 0
    for method, path, parameters in routes(app):
        for parameter in parameters:
            name, schema = parameter["name"], parameter["schema"]
            is_list = "array" in [kind.get("type") for kind in schema.get("anyOf", [schema])]
            refused = await errors(http, method, path, [(name, "1"), (name, "2"), (MISSPELT, "true")])

            assert [error["parameter"] for error in refused] == [*([] if is_list else [name]), MISSPELT]
            lists += is_list
    assert lists


async def test_who_may_not_come_in_does_not_learn_what_there_is(app: FastAPI, http: httpx.AsyncClient) -> None:
    for method, path, _ in routes(app):
        answer = await http.request(method, path, params={MISSPELT: "true"}, headers={"Authorization": ""})
        assert answer.status_code == 401, path


async def test_who_watches_may_ask_as_usual(http: httpx.AsyncClient) -> None:
    assert (await http.get("/health/live", params={"t": "1"})).status_code == 200
