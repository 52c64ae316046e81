"""Intake's door on a real MongoDB, in a database of its own; what it would publish stays in the outbox."""

from collections.abc import AsyncIterator, Iterable
from typing import cast
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from running_intake import Intake, as_the_office
from signing import sign_in

from deploy.backends import Backends
from services.intake.api import BODY_LIMITS, intake_routers
from services.intake.domain.cases import IntakeCase
from services.intake.repository import MIGRATIONS, Cases
from services.intake.settings import IntakeSettings
from shared import mongo
from shared.migrations import migrate
from shared.pipeline import engine, outbox, set_aside
from shared.pipeline.door import Door
from shared.pipeline.engine import Engine
from shared.pipeline.outbox import Publisher
from shared.web.equipment import equip


class _NoPublisher:
    def nudge(self, streams: Iterable[str]) -> None:
        """Nothing is published."""


@pytest.fixture(scope="session")
async def intake(backends: Backends) -> AsyncIterator[Intake]:
    """One intake for all tests of this folder; each test looks at its own cases or at what changed."""
    settings = IntakeSettings(**dict(backends.kafka), mongo_url=backends.mongo)
    client = mongo.connect(settings.mongo_url)
    database = client[f"intake-{uuid4().hex[:8]}"]
    await migrate(database, (*engine.MIGRATIONS, *outbox.MIGRATIONS, *set_aside.MIGRATIONS, *MIGRATIONS))
    running: Engine[IntakeCase] = Engine(database, Cases(database))
    door = Door(running, cast(Publisher, _NoPublisher()))
    door.start()
    app = FastAPI()
    equip(app, dict, sign_in(), other_limits=BODY_LIMITS)
    for router in intake_routers(door, database, settings):
        app.include_router(router)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://intake", headers=as_the_office()
    ) as http:
        yield Intake(app, http, database, running)
    await door.stop()
    await client.drop_database(database.name)
    client.close()
