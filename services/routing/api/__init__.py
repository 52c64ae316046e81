"""Routing's HTTP interface."""

from typing import Any

from fastapi import APIRouter

from services.routing.agreement_store import AgreementStore
from services.routing.api.agreements import agreements_router
from services.routing.repository import RoutedCases
from services.routing.settings import RoutingSettings
from shared.mongo import Database
from shared.pipeline.door import Door
from shared.web.service_token import read_or_create_token


def routing_routers(
    _door: Door[Any], _cases: RoutedCases, database: Database, settings: RoutingSettings
) -> tuple[APIRouter, ...]:
    """Every route of routing."""
    token = read_or_create_token(settings.service_token_file)
    return (agreements_router(AgreementStore(database), settings.kafka_bootstrap, token),)
