"""An import takes what is right, names what is not, and may be repeated."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
import uvicorn
from running_intake import Intake
from sample_bodies import a_body, a_concern, a_person, a_reference
from signing import give_tokens, signed
from typer.testing import CliRunner, Result

from shared.web.limits import BODY_BYTES
from shared.web.roles import Role
from wegweiser.import_cases import LINES_PER_REQUEST, import_cases


def a_line(**said: Any) -> str:
    body = a_body(source_reference=a_reference(), received_at="2017-03-20T09:00:00+01:00", **said)
    return json.dumps(body, ensure_ascii=False)


async def outcomes(intake: Intake, content: str) -> list[dict[str, Any]]:
    answer = await intake.http.post("/v1/cases:import", content=content.encode())
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_good_lines_are_kept_and_bad_ones_named(intake: Intake) -> None:
    lines = [
        a_line(),
        "{",
        "",
        a_line(persons=[a_person(birth_date="2999-01-01")]),
        a_line(concerns=[a_concern("asylum")]),
        json.dumps(a_body()),
        "x" * (BODY_BYTES + 1),
        a_line(concerns=[a_concern("asylum"), a_concern("debt")]),
        a_line(),
    ]

    first = await outcomes(intake, "\n".join(lines))
    again = await outcomes(intake, "\n".join(lines))

    assert [(outcome["line"], outcome["status"]) for outcome in first] == [
        (1, "created"),
        (2, "rejected"),
        (4, "rejected"),
        (5, "redirected"),
        (6, "rejected"),
        (7, "rejected"),
        (8, "created"),
        (9, "created"),
    ]
    assert [outcome["status"] for outcome in again if "case_id" in outcome] == ["unchanged"] * 3
    assert [o["case_id"] for o in first if "case_id" in o] == [o["case_id"] for o in again if "case_id" in o]
    problems = {outcome["line"]: outcome["problem"] for outcome in first if outcome["status"] == "rejected"}
    assert [problem["status"] for problem in problems.values()] == [400, 422, 422, 413]
    assert problems[4]["errors"][0]["pointer"] == "/persons/0/birth_date"
    assert problems[6]["errors"][0]["pointer"] == "/source_reference"
    assert first[6]["redirected"]["to"] == "own_social_worker"


async def test_only_lines_of_json_are_read(intake: Intake) -> None:
    async def status(media_type: str) -> int:
        headers = {"Content-Type": media_type}
        answer = await intake.http.post("/v1/cases:import", content=a_line().encode(), headers=headers)
        return answer.status_code

    refused = ("application/json", "text/csv", "application/x-www-form-urlencoded")
    assert [await status(media_type) for media_type in refused] == [415, 415, 415]
    assert [await status(read) for read in ("Application/X-NDJSON; charset=utf-8", "application/jsonl")] == [200, 200]


async def test_a_line_that_covers_an_unknown_partner_is_rejected(intake: Intake) -> None:
    [outcome] = await outcomes(
        intake, "\ufeff" + a_line(legal_basis={"kind": "consent", "covers_partners": ["olena-beispiel"]})
    )

    assert outcome["problem"]["errors"][0]["pointer"] == "/legal_basis/covers_partners/0"


async def test_a_line_with_another_body_under_a_known_reference_is_rejected(intake: Intake) -> None:
    line = json.loads(a_line())

    [_, other] = await outcomes(intake, f"{json.dumps(line)}\n{json.dumps({**line, 'urgency': 'urgent'})}\n")

    assert (other["status"], other["problem"]["errors"][0]["pointer"]) == ("rejected", "/source_reference")


@pytest.fixture
async def intake_url(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The same application behind a real server, and a command line that signs in there."""
    give_tokens(monkeypatch, Role.OPERATOR)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(intake.app, log_config=None, lifespan="off", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving


async def test_each_outcome_comes_while_the_stream_is_still_open(intake_url: str) -> None:
    host, port = intake_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    authorization = f"Authorization: {signed(Role.SERVICE)['Authorization']}\r\n"
    writer.write(
        f"POST /v1/cases:import HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n{authorization}\r\n".encode()
    )
    for number in (1, 2, 3):
        line = a_line().encode() + b"\n"
        writer.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        async with asyncio.timeout(5):
            found = await reader.readuntil(f'"line": {number}'.encode())
        assert b"rejected" not in found
    writer.write(b"0\r\n\r\n")
    async with asyncio.timeout(5):
        assert (await reader.readuntil(b"\r\n0\r\n\r\n")).endswith(b"0\r\n\r\n")
    writer.close()


async def run_import(file: Path, url: str) -> Result:
    app = typer.Typer()
    app.command()(import_cases)
    return await asyncio.to_thread(CliRunner().invoke, app, [str(file), "--intake-url", url])


def summary(result: Result) -> str:
    return result.stdout.splitlines()[-1]  # before it, the service in the same process writes its own lines


async def test_the_command_imports_a_file_and_may_be_repeated(intake_url: str, tmp_path: Path) -> None:
    file = tmp_path / "cases.ndjson"
    file.write_text("\n".join(a_line() for _ in range(2 * LINES_PER_REQUEST + 1)))

    first, again = await run_import(file, intake_url), await run_import(file, intake_url)

    assert (first.exit_code, summary(first)) == (0, "201 created, 0 unchanged, 0 redirected, 0 rejected")
    assert (again.exit_code, summary(again)) == (0, "0 created, 201 unchanged, 0 redirected, 0 rejected")


async def test_the_command_names_bad_lines_by_their_number_in_the_file(intake_url: str, tmp_path: Path) -> None:
    file = tmp_path / "cases.ndjson"
    lines = [a_line() for _ in range(2 * LINES_PER_REQUEST + 1)]
    for number in (LINES_PER_REQUEST + 1, len(lines)):
        lines[number - 1] = a_line(municipality="Frankfurt")
    file.write_text("\n".join(lines))

    result = await run_import(file, intake_url)

    assert result.exit_code == 1
    assert f"line {LINES_PER_REQUEST + 1}: 422 /municipality" in result.stderr
    assert f"line {len(lines)}: 422 /municipality" in result.stderr


async def test_lines_full_of_faults_do_not_block_the_command(intake_url: str, tmp_path: Path) -> None:
    file = tmp_path / "cases.ndjson"
    bad = json.dumps({**json.loads(a_line()), "concerns": [{f"x{n}": "y" * 4000} for n in range(50)]})
    file.write_text("\n".join([bad] * LINES_PER_REQUEST))

    async with asyncio.timeout(60):
        result = await run_import(file, intake_url)

    assert summary(result) == f"0 created, 0 unchanged, 0 redirected, {LINES_PER_REQUEST} rejected"


async def test_an_intake_that_is_away_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "cases.ndjson"
    file.write_text(a_line())

    result = await run_import(file, "http://127.0.0.1:9")

    assert result.exit_code == 2
    assert "does not answer (ConnectError)" in result.stderr


async def test_a_server_refuses_a_large_body_in_time(intake_url: str) -> None:
    async with httpx.AsyncClient(base_url=intake_url, headers=signed(Role.FRONT_DESK)) as http:
        response = await http.post("/v1/cases", content=b" " * 2_000_000)
        after = await http.get("/v1/cases/x")

    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert after.status_code == 404
