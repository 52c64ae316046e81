"""The gateway's routes. Each belongs to one partner: whoever is another, or is not let in, learns nothing of it."""

from typing import Annotated, Final

from fastapi import Query, Request

from services.gateway.partners import Partner, Partners
from shared.contracts.base import PartnerId
from shared.pace import Pace
from shared.web.problems import ProblemError
from shared.web.roles import Role, caller_of

PREFIX: Final = "/v1/partners/{partner_id}"


REQUESTS_PER_SECOND: Final = 100
"""Of one partner; ten times as many at once after a pause."""


Sandbox = Annotated[bool, Query(description="the queue and replies to try software on, where nothing counts")]


class Entrance:
    """Who of the partners may come in, and how often."""

    def __init__(self, partners: Partners) -> None:
        self._partners = partners
        self._pace = Pace(REQUESTS_PER_SECOND)

    def partner_of(self, request: Request, partner_id: PartnerId) -> Partner:
        """A FastAPI dependency: the partner of the path, where it or an operator asks; raises a problem (403, 429)."""
        caller = caller_of(request)
        if Role.OPERATOR not in caller.roles and caller.partner_id != partner_id:
            raise ProblemError(403, "not-yours", "A partner sees what is its own.")
        partner = self._partners.get(partner_id)
        if partner is None:
            raise ProblemError(403, "not-let-in", "The office has not let this partner in, or has suspended it.")
        if caller.partner_id == partner_id:  # what an operator asks is not the partner's doing
            if self._pace.is_reached(partner_id):
                raise too_much("too-many-requests", "This partner asks too often.", seconds=1)
            self._pace.note(partner_id)
        return partner


def too_much(kind: str, detail: str, *, seconds: int) -> ProblemError:
    """A partner is to wait for so long, and then to send the same again."""
    return ProblemError(429, kind, detail, headers={"Retry-After": str(seconds)})
