"""The wiring of routing."""

from fastapi import FastAPI

from services.routing.agreement import load_agreements
from services.routing.handlers import SUBSCRIPTIONS, reactions
from services.routing.repository import MIGRATIONS, RoutedCases
from services.routing.settings import RoutingSettings
from shared.service import Service


def create_app(settings: RoutingSettings | None = None) -> FastAPI:
    """Routing as an application; its settings come from the environment where none are given."""
    settings = settings or RoutingSettings()
    service = Service(
        "routing",
        settings,
        states=RoutedCases,
        reactions=reactions(load_agreements(settings.agreements)),
        subscriptions=SUBSCRIPTIONS,
        migrations=MIGRATIONS,
    )
    return service.app()
