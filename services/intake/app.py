"""The wiring of intake."""

from fastapi import FastAPI

from services.intake.api import BODY_LIMITS, intake_routers
from services.intake.handlers import REACTIONS, SUBSCRIPTIONS
from services.intake.repository import MIGRATIONS, Cases
from services.intake.settings import IntakeSettings
from shared.service import Service


def create_app(settings: IntakeSettings | None = None) -> FastAPI:
    """Intake as an application; its settings come from the environment where none are given."""
    settings = settings or IntakeSettings()
    service = Service(
        "intake",
        settings,
        states=Cases,
        reactions=REACTIONS,
        subscriptions=SUBSCRIPTIONS,
        migrations=MIGRATIONS,
    )
    app = service.app(other_limits=BODY_LIMITS)
    for router in intake_routers(service.pipeline.door, service.database, settings):
        app.include_router(router)
    return app
