"""The wiring of routing."""

from typing import Any, cast

from fastapi import FastAPI

from services.routing.agreement_store import MIGRATIONS as AGREEMENT_MIGRATIONS
from services.routing.agreement_store import AgreementStore
from services.routing.api import BODY_LIMITS, routing_routers
from services.routing.clockwork import Clockwork, again
from services.routing.handlers import SUBSCRIPTIONS, reactions
from services.routing.repository import MIGRATIONS, RoutedCases
from services.routing.settings import RoutingSettings
from shared.service import Service


def create_app(settings: RoutingSettings | None = None) -> FastAPI:
    """Routing as an application; its settings come from the environment where none are given."""
    settings = settings or RoutingSettings()
    service: Service[Any] = Service(
        "routing",
        settings,
        states=lambda database: RoutedCases(database, AgreementStore(database)),
        reactions=reactions(lambda: cases.situation),
        subscriptions=SUBSCRIPTIONS,
        migrations=(*AGREEMENT_MIGRATIONS, *MIGRATIONS),
        repetitions=again(lambda: cases.situation),
    )
    cases = cast(RoutedCases, service.states)
    service.employ(Clockwork(service.pipeline.handle, cases))
    app = service.app(other_limits=BODY_LIMITS)
    for router in routing_routers(service.pipeline.door, cases, service.database, settings):
        app.include_router(router)
    return app
