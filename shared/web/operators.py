"""What operators do at a service's door: read its journal, repair what was set aside, see how far behind it is."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import structlog
from fastapi import APIRouter, Query, Response
from pymongo import ASCENDING

from shared.envelope import rfc3339
from shared.mongo import Database, translated
from shared.pipeline.outbox import OUTBOX, journal_entry
from shared.pipeline.pipeline import Pipeline
from shared.pipeline.set_aside import OPEN
from shared.web.bodies import JSON
from shared.web.problems import PROBLEM_RESPONSES, ProblemError
from shared.web.roles import Role, open_to

log = structlog.get_logger()

JOURNAL_ROWS: Final = 1000
"""Many times what a case causes in its life."""

DEAD_LETTERS: Final = 100
"""As many as an answer shows."""

_BYTES: Final = ("key", "value", "headers")


def operators_router(pipeline: Pipeline[Any], database: Database) -> APIRouter:
    """The operators' routes, open to operators only."""
    router = APIRouter(
        prefix="/v1",
        tags=["operators"],
        responses=PROBLEM_RESPONSES,
        dependencies=[open_to(Role.OPERATOR)],
    )

    @router.get("/journal/{stream}")
    async def read_journal(stream: str) -> Response:
        """What this service has told about one case, oldest first; `complete` is false where more lies behind."""
        rows = database[OUTBOX].find({"stream": stream}).sort([("sequence", ASCENDING), ("time", ASCENDING)])
        async with translated():
            found = await rows.to_list(JOURNAL_ROWS + 1)
        events = [journal_entry(row) for row in found[:JOURNAL_ROWS]]
        return _json({"events": events, "complete": len(found) <= JOURNAL_ROWS})

    @router.get("/dead-letters")
    async def list_dead_letters(
        state: Literal["open", "replayed", "discarded"] = OPEN,
        subject: Annotated[list[str] | None, Query(description="only what holds up one of these")] = None,
        skip: Annotated[int, Query(ge=0, le=2**31 - 1, description="pass over so many of the oldest")] = 0,
    ) -> Response:
        """The hundred oldest records set aside, without their bytes; `complete` is false where more lie behind."""
        async with translated():
            found = await pipeline.set_aside.oldest(state=state, subjects=subject, skip=skip, limit=DEAD_LETTERS + 1)
        letters = [_named(document) for document in found[:DEAD_LETTERS]]
        return _json({"dead_letters": letters, "complete": len(found) <= DEAD_LETTERS})

    @router.get("/dead-letters/{id_}")
    async def show_dead_letter(
        id_: str,
        with_bytes: Annotated[bool, Query(alias="bytes", description="also the bytes, which may hold names")] = False,
    ) -> Response:
        """One record set aside: where it came from, why it waits, what it is made of."""
        document = await existing(id_)
        if with_bytes:
            log.info("dead_letter_bytes_read", record_id=id_)
        return _json(_named(document) | _made_of(document) | (_bytes_of(document) if with_bytes else {}))

    @router.post("/dead-letters/{id_}/replay")
    async def replay_dead_letter(id_: str) -> Response:
        """Read it again, then what is parked behind it; `took_effect` is 0 where it still cannot be processed."""
        document = await first_in_line(id_)
        async with translated():
            took_effect = await pipeline.replay(document)
        log.info("dead_letter_replayed", record_id=id_, took_effect=took_effect)
        return _json({"took_effect": took_effect})

    @router.post("/dead-letters/{id_}/discard")
    async def discard_dead_letter(id_: str) -> Response:
        """Give it up and read again what is parked behind it."""
        document = await first_in_line(id_)
        async with translated():
            took_effect = await pipeline.discard(document)
        log.info("dead_letter_discarded", record_id=id_, took_effect=took_effect)
        return _json({"took_effect": took_effect})

    @router.get("/lag")
    async def measure_lag() -> Response:
        """Records not yet handled by this instance, a topic."""
        return _json({"lag": pipeline.lag()})

    async def existing(id_: str) -> dict[str, Any]:
        async with translated():
            document = await pipeline.set_aside.get(id_)
        if document is None:
            raise ProblemError(404, "unknown-dead-letter", "No such record was set aside here.")
        return document

    async def first_in_line(id_: str) -> dict[str, Any]:
        """An open record that no earlier one of its subjects holds up: order is kept by hand as well."""
        document = await existing(id_)
        if document["state"] != OPEN:
            raise ProblemError(409, "settled-dead-letter", f"The record was {document['state']}.")
        async with translated():
            ahead = await pipeline.set_aside.ahead_of(document)
        if ahead is not None:
            raise ProblemError(409, "held-up-dead-letter", f"An earlier record of the same subject waits: {ahead}")
        return document

    return router


def _named(document: Mapping[str, Any]) -> dict[str, Any]:
    """Coordinates, reason and state; the inbox's mark is the pipeline's own business."""
    shown = {name: value for name, value in document.items() if name not in (*_BYTES, "_id", "mark", "timestamp")}
    return {"id": document["_id"], **shown}


def _made_of(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "headers": [
            {"name": name.decode("utf-8", "backslashreplace"), "bytes": len(value or b"")}
            for name, value in document["headers"]
        ],
        "key_bytes": len(document["key"] or b""),
        "value_bytes": len(document["value"] or b""),
    }


def _bytes_of(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "content": {
            "key": _base64(document["key"]),
            "value": _base64(document["value"]),
            "headers": [[_base64(name), _base64(value)] for name, value in document["headers"]],
        }
    }


def _base64(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()


def _json(body: Mapping[str, Any]) -> Response:
    return Response(json.dumps(body, ensure_ascii=False, default=rfc3339).encode(), media_type=JSON)
