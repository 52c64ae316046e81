"""Routing's HTTP interface."""

from typing import Any

from fastapi import APIRouter

from services.routing.agreement_store import AgreementStore
from services.routing.api.agreements import agreements_router
from services.routing.api.capacities import capacities_router
from services.routing.api.clearing import clearing_router
from services.routing.api.explanations import explanations_router
from services.routing.repository import RoutedCases
from services.routing.settings import RoutingSettings
from services.routing.tasks import Tasks
from shared.mongo import Database
from shared.pipeline.door import Door


def routing_routers(
    door: Door[Any], cases: RoutedCases, database: Database, settings: RoutingSettings
) -> tuple[APIRouter, ...]:
    """Every route of routing."""
    agreements = AgreementStore(database)
    return (
        agreements_router(agreements, settings.kafka_bootstrap),
        clearing_router(door, cases, Tasks(database), agreements),
        explanations_router(cases, agreements),
        capacities_router(cases),
    )
