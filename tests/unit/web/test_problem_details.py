"""Every error of every door is a problem that names what was wrong and repeats nothing of what was sent."""

import io
import json
from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field
from signing import sign_in, signed

from shared.mongo import UnavailableError
from shared.web.bodies import read_json
from shared.web.equipment import equip
from shared.web.roles import Role

SECRET = "Özlem Işık"


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    text: str
    count: int = 0


class Notes(BaseModel):
    notes: Annotated[tuple[Note, ...], Field(min_length=1)]


def an_app() -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    router = APIRouter()
    equip(app, lambda: {"group": False}, sign_in())

    @app.post("/notes")
    async def take(request: Request) -> dict[str, str]:
        return {"text": (await read_json(request, Note)).text}

    @app.post("/lists")
    async def take_list(request: Request) -> None:
        await read_json(request, Notes)

    @router.delete("/notes")
    async def delete() -> None: ...

    @app.get("/notes")
    async def look_up(limit: int) -> dict[str, int]:
        return {"limit": limit}

    @app.get("/broken")
    async def break_down() -> None:
        raise ValueError(SECRET)

    @app.get("/away")
    async def find_store_away() -> None:
        raise UnavailableError("AutoReconnect")

    app.include_router(router)
    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(an_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def problem_in(response: httpx.Response, status: int) -> dict[str, object]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert SECRET not in response.text
    assert "Traceback" not in response.text
    problem: dict[str, object] = response.json()
    assert problem["status"] == status
    assert str(problem["type"]).startswith("urn:integrationsbuero:problem:")
    assert problem["instance"] == f"urn:uuid:{response.headers['x-correlation-id']}"
    return problem


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ("{", 400, ""),
        ("", 400, ""),
        (b'{"text": "\xff"}', 400, ""),
        ('{"text": "\\ud800"}', 400, ""),
        ("[" * 1000, 400, ""),
        ("[]", 422, ""),
        ('{"text": 5}', 422, "/text"),
        ('{"text": "a", "count": NaN}', 422, "/count"),
        (f'{{"text": "a", "count": {10**30}, "{SECRET * 99}": 1}}', 422, "/" + (SECRET * 99)[:64]),
    ],
)
async def test_a_bad_body_is_answered_with_the_field(
    client: httpx.AsyncClient, body: str | bytes, status: int, pointer: str
) -> None:
    response = await client.post("/notes", content=body)

    problem = response.json()
    assert (response.status_code, problem["errors"][0]["pointer"]) == (status, pointer)


async def test_invalid_utf8_is_named_by_its_offset(client: httpx.AsyncClient) -> None:
    problem = problem_in(await client.post("/notes", content=b'{"text": "\xff"}'), 400)

    assert problem["errors"] == [{"pointer": "", "detail": "UTF-8; the byte at offset 10 is not"}]


async def test_a_wrong_value_is_not_repeated(client: httpx.AsyncClient) -> None:
    problem = problem_in(await client.post("/notes", json={"text": "a", "count": SECRET}), 422)

    assert problem["errors"] == [{"pointer": "/count", "detail": "Input should be a valid integer"}]


async def test_a_list_with_a_wrong_member_is_not_too_short_besides(client: httpx.AsyncClient) -> None:
    wrong = problem_in(await client.post("/lists", json={"notes": [{"text": 5}]}), 422)
    empty = problem_in(await client.post("/lists", json={"notes": []}), 422)

    assert [error["pointer"] for error in wrong["errors"]] == ["/notes/0/text"]  # type: ignore[attr-defined]
    assert [error["pointer"] for error in empty["errors"]] == ["/notes"]  # type: ignore[attr-defined]


async def test_a_parameter_is_named(client: httpx.AsyncClient) -> None:
    problem = problem_in(await client.get("/notes", params={"limit": SECRET}), 422)

    assert problem["errors"][0]["parameter"] == "limit"  # type: ignore[index]


async def test_a_body_that_announces_too_much_is_refused(client: httpx.AsyncClient) -> None:
    problem = problem_in(await client.post("/notes", content=b" " * 2_000_000), 413)

    assert problem["errors"] == [{"pointer": "", "detail": "at most 262144 bytes, not 2000000"}]


async def test_a_body_that_does_not_announce_its_size_is_counted(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100_000_000:
            sent += 65536
            yield b" " * 65536

    problem_in(await client.post("/notes", content=endless()), 413)

    assert sent < 1_000_000


async def test_another_media_type_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/notes", content="text=a", headers={"Content-Type": "text/plain"})

    problem_in(response, 415)


async def test_an_unknown_path_is_a_problem(client: httpx.AsyncClient) -> None:
    problem_in(await client.get(f"/{SECRET}"), 404)


async def test_a_wrong_method_is_told_the_right_ones(client: httpx.AsyncClient) -> None:
    response = await client.delete("/broken")

    problem_in(response, 405)
    assert response.headers["allow"] == "GET"
    of_several = await client.put("/notes")
    problem_in(of_several, 405)
    assert of_several.headers["allow"] == "DELETE, GET, POST"


async def test_a_path_with_a_slash_too_many_leads_nowhere(client: httpx.AsyncClient) -> None:
    problem_in(await client.post("/notes/", json={"text": "a"}), 404)


async def test_a_store_that_is_away_may_be_asked_again(client: httpx.AsyncClient) -> None:
    response = await client.get("/away")

    problem_in(response, 503)
    assert response.headers["retry-after"] == "1"


async def test_an_error_of_ours_reveals_nothing(client: httpx.AsyncClient, lines: io.StringIO) -> None:
    problem_in(await client.get("/broken"), 500)

    failed, answered = map(json.loads, lines.getvalue().splitlines())
    assert SECRET not in lines.getvalue()
    assert (failed["event"], failed["route"]) == ("request_failed", "/broken")
    assert (answered["event"], answered["status"], answered["route"]) == ("request_answered", 500, "/broken")
    assert answered["correlation_id"] == failed["correlation_id"]


async def test_a_service_that_is_not_ready_says_which_check_fails(
    client: httpx.AsyncClient, lines: io.StringIO
) -> None:
    assert problem_in(await client.get("/health/ready"), 503)["checks"] == {"group": False}
    await client.get("/health/unknown")

    [line] = map(json.loads, lines.getvalue().splitlines())
    assert line["status"] == 404


async def test_a_service_is_alive_and_shows_its_figures(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/live")).status_code == 200
    assert "# HELP" in (await client.get("/metrics", headers=signed(Role.OPERATOR))).text
