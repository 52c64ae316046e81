"""`/v1/clearing`: the office's tasks, and what it does with them; and its answers to partners that asked back."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Query, Request

from services.routing.api.views import ReferralId, ReferralView, View, shown
from services.routing.domain import clearing
from services.routing.domain.case import RoutedCase
from services.routing.domain.clearing import Assignment, Claim, Closing, Doing, Refusal, StaffId
from services.routing.repository import RoutedCases
from services.routing.surroundings import AgreementSource
from services.routing.tasks import Order, Place, Task, Tasks, Wanted
from shared.contracts.codes import Concern, Municipality, UnplacedReason, Urgency
from shared.pipeline.decisions import Command, Decision, Done, Failed
from shared.pipeline.door import Door
from shared.web.bodies import json_body, read_json
from shared.web.cursor import cursor_at, not_ours, position_at
from shared.web.problems import PROBLEM_RESPONSES, ProblemError
from shared.web.roles import Role, caller_of, open_to
from shared.web.tracing import cause_of

_REFUSALS: Final = {
    Refusal.UNKNOWN_REFERRAL: (404, "There is no such referral."),
    Refusal.WRONG_STATE: (409, "In its state the referral does not allow this."),
    Refusal.CLAIMED: (409, "Somebody else has claimed the task."),
    Refusal.NOT_CLAIMED: (409, "Claim the task first."),
    Refusal.PARTNER_NOT_POSSIBLE: (422, "This partner may not have the concerns of the referral."),
}
_RANKS: Final = {Order.OLDEST: ("0",), Order.URGENCY: ("1", "2", "3")}
"""What a cursor begins with: one of another order would leave tasks out."""

C = TypeVar("C")


class TaskPage(View):
    """One page of tasks; `next` is the cursor of the one behind it."""

    tasks: list[ReferralView]
    next: str | None


def clearing_router(door: Door[Any], cases: RoutedCases, tasks: Tasks, agreements: AgreementSource) -> APIRouter:
    """The office's routes: who acts is whoever signed in, so nobody acts in another's name."""
    router = APIRouter(tags=["clearing"], responses=PROBLEM_RESPONSES)
    acting = [open_to(Role.FRONT_DESK)]

    @router.get("/v1/clearing", dependencies=[open_to(Role.FRONT_DESK, Role.COORDINATOR)])
    async def list_tasks(
        reason: UnplacedReason | None = None,
        code: Concern | None = None,
        municipality: Municipality | None = None,
        urgency: Urgency | None = None,
        claimed_by: Annotated[StaffId | None, Query(description="staff id of who has the task")] = None,
        claimed_days: Annotated[
            int | None, Query(ge=0, le=3650, description="only what somebody has had for so many days (24 hours each)")
        ] = None,
        unclaimed: Annotated[bool, Query(description="only what nobody has claimed")] = False,
        sort: Order = Order.OLDEST,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
    ) -> TaskPage:
        """What waits for the office; `next` continues a list of the same order."""
        claimed_until = None if claimed_days is None else datetime.now(UTC) - timedelta(days=claimed_days)
        wanted = Wanted(reason, code, municipality, urgency, claimed_by, claimed_until, unclaimed)
        after = _place_at(cursor, sort) if cursor is not None else None
        found = await tasks.page(wanted, sort, after, limit + 1)
        terms = await agreements.all()
        page = found[:limit]
        return TaskPage(
            tasks=[shown(task.case, task.referral, terms.in_force(task.case.day)) for task in page],
            next=_cursor_at(page[-1]) if found[limit:] else None,
        )

    @router.post("/v1/clearing/{referral_id}/claim", openapi_extra=json_body(Claim), dependencies=acting)
    async def claim(referral_id: ReferralId, request: Request) -> ReferralView:
        """Take a task on. Somebody else's only `instead_of` who has it now; one's own again changes nothing."""
        return await done(clearing.claim, await read_json(request, Claim), referral_id, request)

    @router.post("/v1/clearing/{referral_id}/release", dependencies=acting)
    async def release(referral_id: ReferralId, request: Request) -> ReferralView:
        """Give a task back; doing so again changes nothing."""
        return await done(clearing.release, None, referral_id, request)

    @router.post("/v1/clearing/{referral_id}/assign", openapi_extra=json_body(Assignment), dependencies=acting)
    async def assign(referral_id: ReferralId, request: Request) -> ReferralView:
        """Ask a partner of the agreement, whatever capacity it reported; only whoever claimed the task may."""
        return await done(clearing.assign, await read_json(request, Assignment), referral_id, request)

    @router.post("/v1/clearing/{referral_id}/close", openapi_extra=json_body(Closing), dependencies=acting)
    async def close(referral_id: ReferralId, request: Request) -> ReferralView:
        """End a task without a partner; only whoever claimed it may."""
        return await done(clearing.close, await read_json(request, Closing), referral_id, request)

    @router.post("/v1/referrals/{referral_id}/answer", dependencies=acting)
    async def answer(referral_id: ReferralId, request: Request) -> ReferralView:
        """Tell that a partner's question was answered by word of mouth; its time to respond goes on."""
        return await done(clearing.answer, None, referral_id, request)

    async def done(do: Doing[C], said: C, referral_id: ReferralId, request: Request) -> ReferralView:
        """The referral after what the office did; raises a problem where that was refused."""
        cause, staff_id = cause_of(request), caller_of(request).subject

        def decide(known: RoutedCase | None, now: datetime) -> Decision[RoutedCase]:
            return do(said, referral_id, cases.situation, staff_id, cause.id, known, now)

        outcome = await door.submit(Command(referral_id, cause, decide))
        if isinstance(outcome, Failed):
            raise outcome.error
        assert isinstance(outcome, Done)
        if outcome.decision.answer is not None:
            raise _refusal(outcome.decision.answer)
        case: RoutedCase | None = outcome.state
        referral = case.referral(referral_id) if case else None
        assert case is not None, "it was found"
        assert referral is not None, "it was found"
        terms, explained = await asyncio.gather(agreements.all(), cases.explanations(case.id, referral_id))
        return shown(case, referral, terms.in_force(case.day), explained[-1] if explained else None)

    return router


def _refusal(answer: Mapping[str, Any]) -> ProblemError:
    refusal = Refusal(answer["refused"])
    status, detail = _REFUSALS[refusal]
    problem = ProblemError(status, refusal, detail)
    problem.members = {name: value for name, value in answer.items() if name != "refused"}
    return problem


def _cursor_at(task: Task) -> str:
    rank, since, id_ = task.place
    return f"{rank}{cursor_at((since, id_))}"


def _place_at(cursor: str, order: Order) -> Place:
    if not cursor.startswith(_RANKS[order]):
        raise not_ours()
    return (int(cursor[0]), *position_at(cursor[1:]))
