"""Routing's HTTP interface."""

from typing import Any

from fastapi import APIRouter

from services.routing.repository import RoutedCases
from services.routing.settings import RoutingSettings
from shared.pipeline.door import Door


def routing_routers(_door: Door[Any], _cases: RoutedCases, _settings: RoutingSettings) -> tuple[APIRouter, ...]:
    """Every route of routing."""
    return ()
