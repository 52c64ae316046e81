"""`/v1/cases`: open, look up, amend, withdraw."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator

from services.intake.api import documents
from services.intake.api.reception import Reception
from services.intake.api.repetition import KEY_HEADER, key_of
from services.intake.api.senders import may_see, own_name, seen_by, signed
from services.intake.domain.cases import IntakeCase
from services.intake.domain.contradictions import contradictions_in_amendment
from services.intake.domain.decisions import UNKNOWN_CASE, WITHDRAWN_CASE, amend_case, withdraw_case
from services.intake.domain.gate import REDIRECTED, amendment_without_asylum, asks_about_asylum
from services.intake.domain.requests import Amendment, NewCase, Withdrawal
from services.intake.domain.views import shown
from services.intake.repository import Cases
from shared.envelope import Cause
from shared.pipeline.decisions import Command, Decide, Done, Failed
from shared.pipeline.door import Door
from shared.pipeline.engine import utc_now
from shared.web.bodies import JSON, json_body, read_json
from shared.web.cursor import cursor_at, position_at
from shared.web.problems import PROBLEM_RESPONSES, ProblemError, not_valid, parameter_not_valid
from shared.web.roles import Caller, CallerOf, Role, caller_of, open_to
from shared.web.tracing import cause_of

_REFUSALS: Final = {
    UNKNOWN_CASE: (404, "There is no such case."),
    WITHDRAWN_CASE: (409, "The case was withdrawn and stays as it is."),
}

CauseOf = Annotated[Cause, Depends(cause_of)]
CaseId = Annotated[str, AfterValidator(str.lower)]
"""As it is kept; a UUID may be written in capitals as well (RFC 9562)."""


def cases_router(door: Door[IntakeCase], cases: Cases, reception: Reception) -> APIRouter:
    """The routes of single cases."""
    router = APIRouter(tags=["cases"], responses=PROBLEM_RESPONSES)
    sending = [open_to(Role.SOCIAL_WORKER, Role.FRONT_DESK, Role.SERVICE)]
    reading = [
        open_to(Role.SOCIAL_WORKER, Role.FRONT_DESK, Role.SERVICE, Role.OPERATOR, Role.DATA_PROTECTION),
    ]

    @router.post(
        "/v1/cases",
        status_code=201,
        dependencies=sending,
        responses=documents.OPENED,
        openapi_extra={**json_body(NewCase), "parameters": [KEY_HEADER]},
    )
    async def open_case(request: Request) -> Response:
        """Open a case. Asylum questions are pointed elsewhere and not kept; with nothing else the answer is 200.

        A social worker is the `referrer`; others name whom they write for."""
        key = key_of(request)
        said = signed(await read_json(request, NewCase), caller_of(request))
        receipt = await reception.receive(said, cause_of(request), imported=False, key=key)
        if receipt.case_id is None:
            return as_json(receipt.answer)
        return as_json(receipt.answer, 201, {"Location": f"/v1/cases/{receipt.case_id}"})

    @router.get("/v1/cases/{case_id}", responses=documents.SHOWN, dependencies=reading)
    async def look_up(case_id: CaseId, caller: CallerOf) -> Response:
        """A case with what became of each concern."""
        case = await cases.get(case_id)
        if case is None or not may_see(caller, case):
            raise refusal(UNKNOWN_CASE)
        return as_json(shown(case))

    @router.get("/v1/cases", responses=documents.LISTED, dependencies=reading)
    async def list_cases(
        caller: CallerOf,
        referrer: Annotated[str | None, Query(max_length=100, description="staff id of the referrer")] = None,
        organisation: Annotated[
            str | None, Query(max_length=200, description="only what this organisation sent: staff ids are its own")
        ] = None,
        source_reference: Annotated[str | None, Query(max_length=100)] = None,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> Response:
        """The cases of one referrer, or with one reference, newest first; `next` continues the list.

        A social worker's list holds their own cases."""
        if own := own_name(caller):
            if referrer not in (None, own.staff_id) or organisation not in (None, own.organisation):
                raise ProblemError(403, "not-yours", "The list holds one's own cases.")
            referrer, organisation = own.staff_id, own.organisation
        if referrer is None and source_reference is None:
            raise parameter_not_valid("referrer", "this or source_reference")
        after = position_at(cursor) if cursor is not None else None
        page = await cases.page(
            referrer=referrer,
            organisation=organisation,
            source_reference=source_reference,
            after=after,
            limit=limit + 1,
        )
        rest = page[limit:]
        last = page[:limit][-1:] if rest else []
        return as_json(
            {
                "cases": [shown(case) for case in page[:limit]],
                "next": cursor_at((last[0].received_at, last[0].id)) if last else None,
            }
        )

    @router.post(
        "/v1/cases/{case_id}/amend",
        responses=documents.AMENDED,
        openapi_extra=json_body(Amendment),
        dependencies=sending,
    )
    async def amend(case_id: CaseId, request: Request, cause: CauseOf, caller: CallerOf) -> Response:
        """Correct or add something; the same amendment again changes nothing."""
        said = await read_json(request, Amendment)
        amendment = amendment_without_asylum(said)
        faults = contradictions_in_amendment(amendment, utc_now(), partners=reception.partners)
        if faults:
            raise not_valid(faults)

        def decide(known: IntakeCase | None, now: datetime) -> Any:
            return amend_case(amendment, known, now)

        redirects = asks_about_asylum(said.concerns)
        try:
            view = await _changed(door, case_id, cause, caller, decide)
        except ProblemError as problem:
            if redirects and problem.kind in _REFUSALS:  # nobody sends the same again: the pointer goes along now
                await reception.count_redirected()
                problem.members["redirected"] = REDIRECTED
            raise
        if redirects:
            await reception.count_redirected()
            view["redirected"] = REDIRECTED
        return as_json(view)

    @router.post(
        "/v1/cases/{case_id}/withdraw",
        responses=documents.SHOWN,
        openapi_extra=json_body(Withdrawal),
        dependencies=sending,
    )
    async def withdraw(case_id: CaseId, request: Request, cause: CauseOf, caller: CallerOf) -> Response:
        """Take a case back; doing so again changes nothing."""
        withdrawal = await read_json(request, Withdrawal)

        def decide(known: IntakeCase | None, now: datetime) -> Any:
            return withdraw_case(withdrawal.reason, known, now)

        return as_json(await _changed(door, case_id, cause, caller, decide))

    return router


async def _changed(
    door: Door[IntakeCase], case_id: str, cause: Cause, caller: Caller, decide: Decide[IntakeCase]
) -> dict[str, Any]:
    """The case after a change; raises a problem where the change was refused."""
    outcome = await door.submit(Command(key=case_id, cause=cause, decide=seen_by(caller, decide)))
    if isinstance(outcome, Failed):
        raise outcome.error
    assert isinstance(outcome, Done)
    refused = outcome.decision.answer
    if refused is not None:
        raise refusal(refused["refused"], refused["errors"])
    assert outcome.state is not None
    return shown(outcome.state)


def refusal(reason: str, errors: list[Mapping[str, str]] | None = None) -> ProblemError:
    """What a refused request about a case is answered with."""
    status, detail = _REFUSALS.get(reason, (422, "The body does not fit the case."))
    return ProblemError(status, reason, detail, errors=errors or ())


def as_json(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    return Response(json.dumps(body, ensure_ascii=False).encode(), status, headers, JSON)
