"""Routing's doors on a real MongoDB, in a database of its own; what they would publish stays in the outbox."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from routed import Routed, an_agreement, an_instance, routed, running
from running_routing import Instance, NoPublisher, Routing, as_staff
from signing import sign_in

from deploy.backends import Backends
from services.routing import agreement_store
from services.routing.agreement_files import load_agreements
from services.routing.agreement_store import AgreementStore
from services.routing.api import routing_routers
from services.routing.repository import MIGRATIONS, RoutedCases
from services.routing.settings import RoutingSettings
from shared import mongo
from shared.migrations import Migration, migrate
from shared.mongo import Database
from shared.pipeline import engine, outbox, set_aside
from shared.pipeline.door import Door
from shared.pipeline.engine import Engine, utc_now
from shared.pipeline.outbox import Publisher
from shared.web.equipment import equip
from wegweiser.settings import AGREEMENTS


@pytest.fixture
async def routing(backends: Backends) -> AsyncIterator[Routing]:
    """Two instances of routing, under the agreements of the repository."""
    settings = RoutingSettings(**dict(backends.kafka), mongo_url=backends.mongo)
    client = mongo.connect(settings.mongo_url)
    database = client[f"routing-{uuid4().hex[:8]}"]
    ours = (*agreement_store.MIGRATIONS, *MIGRATIONS)
    await migrate(database, (*engine.MIGRATIONS, *outbox.MIGRATIONS, *set_aside.MIGRATIONS, *ours))
    for term in load_agreements(AGREEMENTS):
        await AgreementStore(database).activate(term, utc_now())
    async with AsyncExitStack() as stack:
        one, other = [await _instance(database, settings, stack) for _ in range(2)]
        yield Routing(one, other, database)
    await client.drop_database(database.name)
    client.close()


@pytest.fixture
def migrations() -> Sequence[Migration]:
    """What the database of a trial has besides the pipeline's own."""
    return MIGRATIONS


@pytest.fixture(scope="module")
async def live(backends: Backends) -> AsyncIterator[Routed]:
    """Routing on real topics as well, one for all tests of a module, each with cases of its own."""
    instance = an_instance(backends, per_second=500)
    async with routed(backends, an_agreement()) as made, running(instance):
        yield made


async def _instance(database: Database, settings: RoutingSettings, stack: AsyncExitStack) -> Instance:
    cases = RoutedCases(database, AgreementStore(database))
    running: Engine[Any] = Engine(database, cases)
    door = Door(running, cast(Publisher, NoPublisher()))
    door.start()
    stack.push_async_callback(door.stop)
    app = FastAPI()
    equip(app, dict, sign_in())
    for router in routing_routers(door, cases, database, settings):
        app.include_router(router)
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://routing", headers=as_staff())
    await stack.enter_async_context(http)
    return Instance(app, http, running, cases)
