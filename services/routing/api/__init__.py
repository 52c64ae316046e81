"""Routing's HTTP interface."""

from typing import Any

from fastapi import APIRouter

from services.routing.agreement_store import AgreementStore
from services.routing.api import agreements
from services.routing.api.agreements import agreements_router
from services.routing.api.capacities import capacities_router
from services.routing.api.clearing import clearing_router
from services.routing.api.explanations import explanations_router
from services.routing.repository import RoutedCases
from services.routing.settings import RoutingSettings
from services.routing.tasks import Tasks
from shared.mongo import Database
from shared.pipeline.door import Door

BODY_LIMITS = {agreements.PATH: agreements.AGREEMENT_BYTES}


def routing_routers(
    door: Door[Any], cases: RoutedCases, database: Database, settings: RoutingSettings
) -> tuple[APIRouter, ...]:
    """Every route of routing."""
    store = AgreementStore(database)
    return (
        agreements_router(store, settings),
        clearing_router(door, cases, Tasks(database), store),
        explanations_router(cases, store),
        capacities_router(cases),
    )
