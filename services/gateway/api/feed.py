"""`/v1/partners/{partner_id}/events`: the partner's queue, read over HTTP."""

import time
from collections.abc import Callable
from typing import Annotated, Any, Final

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    KafkaTimeoutError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from services.gateway.api import PREFIX, Sandbox, too_much
from services.gateway.api.shapes import told_event
from services.gateway.domain.cursors import ForgedCursorError, Positions, cursor_of, positions_of
from services.gateway.domain.events import QueueEvent
from services.gateway.partners import BusyError, Partner
from services.gateway.queues import ExpiredError, QueueReader, Readers
from shared.web.problems import PROBLEM_RESPONSES, ProblemError, parameter_not_valid
from shared.web.roles import Role, open_to

LONGEST_WAIT: Final = 30
_SHUT_OUT: Final = (TopicAuthorizationFailedError, GroupAuthorizationFailedError, SaslAuthenticationFailed)
_PATIENCE_SECONDS: Final = 10.0
_STEP_SECONDS: Final = 1.0
"""How often it is looked whether the partner still waits."""


class Events(BaseModel):
    """A portion of the queue. `events` are CloudEvents in structured mode, those of one referral in their order; `next`
    is the cursor that goes on behind them."""

    events: Annotated[list[dict[str, Any]], Field(json_schema_extra={"items": told_event()})]
    next: str


def feed_router(partner_of: Callable[..., Partner], readers: Readers, key: bytes) -> APIRouter:
    """The feed's route."""
    router = APIRouter(prefix=PREFIX, tags=["events"], responses=PROBLEM_RESPONSES)

    @router.get("/events", dependencies=[open_to(Role.PARTNER)])
    async def read_events(
        request: Request,
        partner: Annotated[Partner, Depends(partner_of)],
        after: Annotated[str | None, Query(max_length=20_000, description="`next` of an earlier answer")] = None,
        wait: Annotated[int, Query(ge=0, le=LONGEST_WAIT, description="seconds, where there is nothing yet")] = 0,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        sandbox: Sandbox = False,
    ) -> Events:
        """The events after a cursor, without one from the oldest kept. The same cursor gives the same events again, so
        an answer that was lost is asked for once more; once all are dealt with, `next` is the cursor to keep."""
        owner = f"{partner.id}/sandbox" if sandbox else partner.id
        positions = _positions_in(owner, after, key)
        try:
            async with readers.reading(partner, sandbox=sandbox) as reader:
                await reader.seek(positions)
                events = await _read(reader, request, wait, limit)
                return Events(events=[event.as_json for event in events], next=cursor_of(owner, reader.positions, key))
        except BusyError:
            raise too_much("too-many-readers", "This partner waits in too many places at once.", seconds=5) from None
        except ExpiredError:
            raise ProblemError(
                410, "cursor-expired", "The queue does not go back so far. Start over with /referrals?state=open."
            ) from None
        except KafkaError as error:
            raise refused(error) from None

    return router


def refused(error: KafkaError) -> ProblemError:
    """What an error of Kafka's means to a partner."""
    if isinstance(error, _SHUT_OUT):
        return ProblemError(403, "not-let-in", "The office has not let this partner in, or has suspended it.")
    return ProblemError(503, "unavailable", "Kafka does not answer. Send the same again.", headers={"Retry-After": "2"})


def _positions_in(owner: str, cursor: str | None, key: bytes) -> Positions:
    try:
        return positions_of(owner, cursor, key) if cursor else {}
    except ForgedCursorError:
        raise parameter_not_valid("after", "the `next` of an earlier answer to this partner") from None


async def _read(reader: QueueReader, request: Request, wait: int, limit: int) -> list[QueueEvent]:
    """What comes within `wait` seconds, or nothing where the gateway ends. What is there already is given however long
    Kafka takes to hand it over; raises `KafkaTimeoutError` where it does not."""
    began = time.monotonic()
    while True:
        left = (began + (_PATIENCE_SECONDS if reader.is_behind else wait)) - time.monotonic()
        events = await reader.read(seconds=min(_STEP_SECONDS, left), at_most=limit) if left > 0 else []
        if events or await request.is_disconnected() or request.app.state.service.is_ending:
            return events
        if left <= 0:
            if reader.is_behind:
                raise KafkaTimeoutError
            return []
