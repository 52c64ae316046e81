"""The wiring of notify."""

from datetime import timedelta

from fastapi import FastAPI

from services.notify.handlers import ADOPTIONS, REACTIONS, SUBSCRIPTIONS, lost_from_sight
from services.notify.letters import Letters, load_places
from services.notify.persons import IntakePersons, intake_client
from services.notify.repository import MIGRATIONS, NotifiedCases
from services.notify.sender import Sender
from services.notify.settings import NotifySettings
from services.notify.transport import CountingTransport, SmtpTransport, Transport
from shared.service import Service


def create_app(settings: NotifySettings | None = None) -> FastAPI:
    """Notify as an application; its settings come from the environment where none are given."""
    settings = settings or NotifySettings()
    service = Service(
        "notify",
        settings,
        states=NotifiedCases,
        reactions=REACTIONS,
        subscriptions=SUBSCRIPTIONS,
        migrations=MIGRATIONS,
        adoptions=ADOPTIONS,
        loose_ends=lost_from_sight,
    )
    service.employ(
        Sender(
            service.pipeline.handle,
            NotifiedCases(service.database),
            IntakePersons(intake_client(settings.intake_url, settings.credentials)),
            Letters(load_places(settings.places_file)),
            _transport(settings),
            lease=timedelta(seconds=settings.sending_seconds),
        )
    )
    return service.app()


def _transport(settings: NotifySettings) -> Transport:
    if settings.mail_transport == "count":
        return CountingTransport()
    return SmtpTransport(settings.smtp_host, settings.smtp_port, settings.mail_from)
