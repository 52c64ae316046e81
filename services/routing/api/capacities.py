"""`/v1/capacities`: what the partners said they can take."""

from datetime import datetime

from fastapi import APIRouter

from services.routing.api.views import View
from services.routing.repository import RoutedCases
from shared.contracts.codes import CapacityStatus, Concern
from shared.web.problems import PROBLEM_RESPONSES
from shared.web.roles import Role, open_to


class CapacityView(View):
    """The newest report of a partner about one field; it counts until `expires_at`."""

    partner_id: str
    code: Concern
    status: CapacityStatus
    places: int | None
    weeks: int | None
    reported_at: datetime
    expires_at: datetime


class CapacityList(View):
    """All reports, by partner and field."""

    capacities: list[CapacityView]


def capacities_router(cases: RoutedCases) -> APIRouter:
    """What partners reported."""
    router = APIRouter(
        tags=["capacities"], responses=PROBLEM_RESPONSES, dependencies=[open_to(Role.FRONT_DESK, Role.COORDINATOR)]
    )

    @router.get("/v1/capacities")
    async def list_capacities() -> CapacityList:
        """The newest report of each partner about each field, also one that has expired; `places` as reported."""
        return CapacityList(capacities=[CapacityView.model_validate(report) for report in await cases.capacities()])

    return router
