"""The wiring of scheduling."""

from fastapi import FastAPI

from services.scheduling.domain.timetable import Timetable
from services.scheduling.handlers import ADOPTIONS, REACTIONS, SUBSCRIPTIONS
from services.scheduling.repository import MIGRATIONS, ScheduledCases
from services.scheduling.resource_table import load_resources
from services.scheduling.settings import SchedulingSettings
from shared.service import Service


def create_app(settings: SchedulingSettings | None = None) -> FastAPI:
    """Scheduling as an application; its settings come from the environment where none are given."""
    settings = settings or SchedulingSettings()
    timetable = Timetable(
        load_resources(settings.resources_file), lead_days=settings.lead_days, horizon_days=settings.horizon_days
    )
    service = Service(
        "scheduling",
        settings,
        states=lambda database: ScheduledCases(database, timetable),
        reactions=REACTIONS,
        subscriptions=SUBSCRIPTIONS,
        migrations=MIGRATIONS,
        adoptions=ADOPTIONS,
    )
    return service.app()
