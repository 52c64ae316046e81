"""`/v1/partners/{partner_id}/replies`: a partner's answers, written to its replies topic."""

from collections.abc import Callable
from typing import Annotated

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel

from services.gateway.api import PREFIX, Sandbox, too_much
from services.gateway.api.feed import refused
from services.gateway.api.shapes import STRUCTURED, reply_body
from services.gateway.domain.replies import Reply, faults_in, written
from services.gateway.partners import BusyError, Partner
from services.gateway.writers import Writers
from shared.web.bodies import JSON, parse_json
from shared.web.problems import PROBLEM_RESPONSES, ProblemError, not_valid
from shared.web.roles import Role, open_to


class Taken(BaseModel):
    """What was written, and where it lies in the replies topic: a rejection names that place."""

    ce_id: str
    partition: int
    offset: int


def replies_router(partner_of: Callable[..., Partner], writers: Writers) -> APIRouter:
    """The route of the replies."""
    router = APIRouter(prefix=PREFIX, tags=["replies"], responses=PROBLEM_RESPONSES)

    @router.post("/replies", status_code=202, dependencies=[open_to(Role.PARTNER)], openapi_extra=reply_body())
    async def write_reply(
        request: Request, partner: Annotated[Partner, Depends(partner_of)], sandbox: Sandbox = False
    ) -> Taken:
        """Take one reply, as a CloudEvent in structured mode. 202 says that the brokers have it; whether it fits the
        referral is told in the feed. The same `id` again takes no second effect."""
        said = (request.headers.get("content-type") or JSON).partition(";")[0].strip().lower()
        if said not in (JSON, STRUCTURED):
            raise ProblemError(
                415, "unsupported-media-type", f"The body is to be {STRUCTURED}.", headers={"Accept": STRUCTURED}
            )
        reply = parse_json(await request.body(), Reply)
        if faults := faults_in(reply, partner.id):
            raise not_valid(faults)
        try:
            at = await writers.write(partner, written(reply, partner.id), sandbox=sandbox)
        except BusyError:
            raise too_much("too-many-replies", "Too many replies wait for Kafka.", seconds=1) from None
        except KafkaError as error:
            raise refused(error) from None
        return Taken(ce_id=reply.id, partition=at.partition, offset=at.offset)

    return router
