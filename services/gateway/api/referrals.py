"""`/v1/partners/{partner_id}/referrals`: where a partner's referrals stand, to start over with after a long absence."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from services.gateway.api import PREFIX
from services.gateway.domain.cursors import cursor_of
from services.gateway.domain.referrals import KnownReferral
from services.gateway.partners import Partner
from services.gateway.repository import Knowledge
from shared.contracts.base import UUID_PATTERN
from shared.contracts.codes import ReferralState
from shared.web.problems import PROBLEM_RESPONSES
from shared.web.roles import Role, open_to


class ReferralView(BaseModel):
    """A referral as the queue last told of it; `since` is when its state began (UTC)."""

    referral_id: str
    state: ReferralState
    since: datetime
    offer: dict[str, Any] | None
    appointment: dict[str, Any] | None


class Referrals(BaseModel):
    """A page. `next` is the `after` of the next one; `events_after` the cursor of the feed that goes on behind what is
    told here: keep that of the first page."""

    referrals: list[ReferralView]
    next: str | None
    events_after: str | None


def referrals_router(partner_of: Callable[..., Partner], knowledge: Knowledge, key: bytes) -> APIRouter:
    """The route of the list."""
    router = APIRouter(prefix=PREFIX, tags=["referrals"], responses=PROBLEM_RESPONSES)

    @router.get("/referrals", dependencies=[open_to(Role.PARTNER)])
    async def list_referrals(
        partner: Annotated[Partner, Depends(partner_of)],
        state: Literal["open", "all"] = "open",
        after: Annotated[str | None, Query(pattern=UUID_PATTERN, description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Referrals:
        """A partner's referrals; ended ones for 60 days."""
        positions = await knowledge.positions(partner.id)  # first, so that nothing lies between them and the list
        found = await knowledge.referrals(partner.id, only_open=state == "open", after_id=after, limit=limit + 1)
        page = found[:limit]
        return Referrals(
            referrals=[_shown(referral) for referral in page],
            next=page[-1].id if found[limit:] else None,
            events_after=cursor_of(partner.id, positions, key) if positions else None,
        )

    return router


def _shown(referral: KnownReferral) -> ReferralView:
    return ReferralView(
        referral_id=referral.id,
        state=referral.state,
        since=referral.since,
        offer=referral.offer,
        appointment=referral.appointment,
    )
