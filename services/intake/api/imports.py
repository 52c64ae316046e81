"""`/v1/cases:import`: a stream of cases in, a stream of outcomes back, line by line (NDJSON)."""

import asyncio
import json
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from services.intake.api import documents
from services.intake.api.reception import Reception
from services.intake.domain.requests import NewCase
from shared.contracts.base import new_id
from shared.envelope import Cause, new_traceparent
from shared.mongo import LostRaceError, UnavailableError
from shared.web.bodies import parse_json
from shared.web.faults import Fault, pointer
from shared.web.limits import BODY_BYTES
from shared.web.problems import PROBLEM_RESPONSES, ProblemError, members_of, not_valid, unavailable
from shared.web.roles import Role, open_to
from shared.web.tracing import cause_of

log = structlog.get_logger()

PATH: Final = "/v1/cases:import"
NDJSON: Final = "application/x-ndjson"
_READ: Final = (NDJSON, "application/jsonl")
AT_ONCE: Final = 100
"""Lines under way at a time: enough to fill the groups at the pipeline's door, little enough to bound the memory.

A client that reads no answer before it has sent everything must send at most this many lines in one request.
"""

_Outcome = dict[str, Any]
_DOCUMENTED: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {NDJSON: {"schema": {"type": "string", "description": "one case a line, as in POST /v1/cases"}}},
    },
    "responses": {
        "200": {
            "description": (
                "One outcome a line, in the order of the lines and while the request still arrives. A client that "
                f"does not read while it sends must send at most {AT_ONCE} lines in one request."
            ),
            "content": {
                NDJSON: {
                    "schema": {
                        "type": "object",
                        "description": "one line",
                        "required": ["line", "status"],
                        "properties": {
                            "line": {"type": "integer", "description": "its number, from 1"},
                            "status": {"enum": ["created", "unchanged", "redirected", "rejected"]},
                            "case_id": {"type": "string", "format": "uuid"},
                            "redirected": documents.REDIRECTED,
                            "problem": {"type": "object", "description": "problem details (RFC 9457)"},
                        },
                    }
                }
            },
        }
    },
}


def imports_router(reception: Reception) -> APIRouter:
    """The route of the import. Its path is to be named as streamed, so that no body limit is put on the whole."""
    router = APIRouter(tags=["cases"], responses=PROBLEM_RESPONSES)

    @router.post(
        PATH,
        status_code=200,
        openapi_extra=_DOCUMENTED,
        response_class=ImportAnswer,
        dependencies=[open_to(Role.SERVICE, Role.OPERATOR)],
    )
    async def import_cases(request: Request, cause: Annotated[Cause, Depends(cause_of)]) -> Response:
        """Take cases in. Each line needs a `source_reference`; a line that came before is answered `unchanged`."""
        media_type = request.headers.get("content-type")
        if media_type is not None and media_type.partition(";")[0].strip().lower() not in _READ:
            raise ProblemError(
                415, "unsupported-media-type", f"The body is to be {NDJSON}.", headers={"Accept": ", ".join(_READ)}
            )
        return ImportAnswer(reception, cause)

    return router


class ImportAnswer(Response):
    """Answers while the request is still arriving, which an ordinary streamed response does not allow: it would read
    from the request itself, to notice that the client has gone."""

    media_type = NDJSON

    def __init__(self, reception: Reception, cause: Cause) -> None:
        super().__init__()
        self._reception = reception
        self._cause = cause

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send one outcome a line, in the order of the lines."""
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        counts: Counter[str] = Counter()
        under_way: asyncio.Queue[asyncio.Task[_Outcome] | None] = asyncio.Queue(AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take_in(Request(scope, receive), tasks, under_way))
            while (task := await under_way.get()) is not None:
                outcome = await task
                counts[outcome["status"]] += 1
                body = json.dumps(outcome, ensure_ascii=False).encode() + b"\n"
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        log.info("cases_imported", lines=counts.total(), **counts)

    async def _take_in(
        self, request: Request, tasks: asyncio.TaskGroup, under_way: asyncio.Queue[asyncio.Task[_Outcome] | None]
    ) -> None:
        try:
            async for number, line in numbered_lines(request.stream()):
                await under_way.put(tasks.create_task(self._outcome(number, line)))
        except ClientDisconnect:
            log.info("import_broken_off")
        await under_way.put(None)

    async def _outcome(self, number: int, line: bytes | None) -> _Outcome:
        try:
            return {"line": number, **await self._receive(line)}
        except ProblemError as problem:
            rejection = problem
        except (UnavailableError, LostRaceError):
            rejection = unavailable()
        except Exception:
            log.exception("import_line_failed", line=number)
            rejection = ProblemError(500, "failed", "An error of ours; the operators find it by the correlation id.")
        return {"line": number, "status": "rejected", "problem": members_of(rejection, self._cause)}

    async def _receive(self, line: bytes | None) -> _Outcome:
        if line is None:
            raise ProblemError(413, "too-large", f"A line holds at most {BODY_BYTES} bytes.")
        said = parse_json(line, NewCase)
        if said.source_reference is None:
            raise not_valid([Fault(pointer("source_reference"), "a reference, so that the import can be repeated")])
        cause = Cause(new_id(), self._cause.correlation_id, new_traceparent(self._cause.traceparent))
        receipt = await self._reception.receive(said, cause, imported=True)
        if receipt.case_id is None:
            return {"status": "redirected", "redirected": receipt.answer["redirected"]}
        status = "unchanged" if receipt.is_repetition else "created"
        redirected = {name: value for name, value in receipt.answer.items() if name == "redirected"}
        return {"status": status, "case_id": receipt.case_id, **redirected}


async def numbered_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes | None]]:
    """The lines of a stream with their numbers from 1; None for one above the limit, nothing for an empty one.

    A byte order mark, with which some programs begin a file, is left out.
    """
    number, rest, skipping = 1, b"", False
    async for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        if number == 1 and not skipping:
            complete[:1] = [line.removeprefix(BOM_UTF8) for line in complete[:1]]
        for line in complete:
            if skipping or len(line) > BODY_BYTES:
                yield number, None
            elif line.strip():
                yield number, line
            number, skipping = number + 1, False
        if len(rest) > BODY_BYTES:
            rest, skipping = b"", True
    if number == 1:
        rest = rest.removeprefix(BOM_UTF8)
    if skipping:
        yield number, None
    elif rest.strip():
        yield number, rest
