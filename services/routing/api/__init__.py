"""Routing's HTTP interface."""

from typing import Any

from fastapi import APIRouter

from services.routing.api.capacities import capacities_router
from services.routing.api.clearing import clearing_router
from services.routing.api.explanations import explanations_router
from services.routing.repository import RoutedCases
from services.routing.settings import RoutingSettings
from services.routing.tasks import Tasks
from shared.mongo import Database
from shared.pipeline.door import Door
from shared.web.service_token import read_or_create_token


def routing_routers(
    door: Door[Any], cases: RoutedCases, database: Database, settings: RoutingSettings
) -> tuple[APIRouter, ...]:
    """Every route of routing."""
    token = read_or_create_token(settings.service_token_file)
    return (
        clearing_router(door, cases, Tasks(database), token),
        explanations_router(cases, token),
        capacities_router(cases, token),
    )
