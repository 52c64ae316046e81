"""`/v1/persons:batchGet`: names for our own services, at the moment they need them."""

import json
from typing import Annotated

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.intake.domain.persons import for_messages
from services.intake.repository import Persons
from shared.contracts.base import PersonId
from shared.web.bodies import JSON, json_body, read_json
from shared.web.problems import PROBLEM_RESPONSES
from shared.web.roles import Role, open_to

log = structlog.get_logger()


class Wanted(BaseModel):
    """Whose names are needed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    person_ids: Annotated[tuple[PersonId, ...], Field(max_length=500)]


def persons_router(persons: Persons) -> APIRouter:
    """The vault's door, open to our own services only."""
    router = APIRouter(tags=["persons"], responses=PROBLEM_RESPONSES, dependencies=[open_to(Role.SERVICE)])

    @router.post("/v1/persons:batchGet", openapi_extra=json_body(Wanted))
    async def batch_get(request: Request) -> Response:
        """Names, contact and languages; unknown ids are left out."""
        wanted = await read_json(request, Wanted)
        found = await persons.batch_get(wanted.person_ids)
        log.info("persons_read", asked=len(wanted.person_ids), found=len(found))
        answer = {"persons": [for_messages(record) for record in found]}
        return Response(json.dumps(answer, ensure_ascii=False).encode(), media_type=JSON)

    return router
