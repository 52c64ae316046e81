"""`/v1/cases/{case_id}/notes`: what the staff write down about a case. It stays in intake, nobody else is told."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from services.intake.api import documents
from services.intake.api.cases import CaseId, CauseOf, as_json, refusal
from services.intake.api.repetition import KEY_HEADER, answer_given, digest, digest_of_body, key_of
from services.intake.api.senders import may_see, seen_by
from services.intake.domain.cases import IntakeCase
from services.intake.domain.decisions import UNKNOWN_CASE, add_note
from services.intake.domain.requests import NewNote
from services.intake.domain.views import shown_note
from services.intake.repository import REQUESTS, Cases, Notes
from shared.contracts.base import new_id
from shared.envelope import rfc3339
from shared.pipeline.decisions import Command, Decision, Failed, Mark, Repeated
from shared.pipeline.door import Door
from shared.web.bodies import json_body, read_json
from shared.web.cursor import cursor_at, position_at
from shared.web.problems import PROBLEM_RESPONSES
from shared.web.roles import CallerOf, Role, open_to

_PATH: Final = "/v1/cases/{case_id}/notes"


def notes_router(door: Door[IntakeCase], cases: Cases, notes: Notes) -> APIRouter:
    """The routes of the notes."""
    router = APIRouter(tags=["notes"], responses=PROBLEM_RESPONSES)

    @router.post(
        _PATH,
        status_code=201,
        dependencies=[open_to(Role.SOCIAL_WORKER, Role.FRONT_DESK)],
        responses=documents.NOTED,
        openapi_extra={**json_body(NewNote), "parameters": [KEY_HEADER]},
    )
    async def write_note(case_id: CaseId, request: Request, cause: CauseOf, caller: CallerOf) -> Response:
        """Write a note about a case or one of its referrals, also after it was withdrawn. It is kept as it is written:
        what is said about asylum does not belong here."""
        key = key_of(request)
        said = await read_json(request, NewNote)
        body = digest_of_body(case_id, said)
        marks = () if key is None else (Mark(REQUESTS, digest(_PATH, case_id, key), {"body": body}),)
        note_id = new_id()

        def decide(known: IntakeCase | None, now: datetime) -> Decision[IntakeCase]:
            return add_note(said, note_id, caller.subject, known, now)

        outcome = await door.submit(Command(case_id, cause, seen_by(caller, decide), marks))
        if isinstance(outcome, Failed):
            raise outcome.error
        answer = answer_given(outcome, marks, body) if isinstance(outcome, Repeated) else outcome.decision.answer
        assert answer is not None
        if "refused" in answer:
            raise refusal(answer["refused"])
        return as_json({**answer, "written_at": rfc3339(answer["written_at"])}, 201)

    @router.get(
        _PATH,
        responses=documents.NOTES,
        dependencies=[open_to(Role.SOCIAL_WORKER, Role.FRONT_DESK, Role.DATA_PROTECTION)],
    )
    async def list_notes(
        case_id: CaseId,
        caller: CallerOf,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> Response:
        """The notes about a case, newest last; `next` continues the list."""
        after = position_at(cursor) if cursor is not None else None
        case = await cases.get(case_id)
        if case is None or not may_see(caller, case):
            raise refusal(UNKNOWN_CASE)
        found = await notes.page(case_id, after=after, limit=limit + 1)
        page, rest = found[:limit], found[limit:]
        return as_json(
            {
                "notes": [shown_note(note) for note in page],
                "next": cursor_at((page[-1]["written_at"], page[-1]["_id"])) if rest else None,
            }
        )

    return router
