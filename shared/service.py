"""What a service is made of: settings, a database of its own, HTTP, mostly a pipeline; and its life from start to stop.

`create_app` of a service builds one of these; nothing connects before the application starts.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol

import structlog
from fastapi import FastAPI

from shared import logs, mongo
from shared.asyncapi import asyncapi
from shared.contracts import Event
from shared.memory import settle, stay_small
from shared.migrations import Migration, migrate
from shared.mongo import Database
from shared.pipeline.decisions import Reaction, S, States
from shared.pipeline.pipeline import Pipeline
from shared.pipeline.reading import Subscription
from shared.pipeline.rewinding import LooseEnds, Repetition
from shared.settings import BareSettings, ServiceSettings
from shared.web.documents import add_asyncapi, add_documents
from shared.web.equipment import equip
from shared.web.operators import operators_router
from shared.web.roles import Role, require_roles
from shared.web.sign_in import SignIn, Trust

log = structlog.get_logger()


class Worker(Protocol):
    """Something that runs beside the pipeline, such as notify's sender."""

    def nudge(self) -> None:
        """A batch took effect: there may be work."""
        ...

    async def start(self) -> None:
        """Begin; the pipeline runs already."""
        ...

    async def stop(self) -> None:
        """End; the pipeline still runs."""
        ...


class BareService:
    """A service that has no part in the events between the others: settings, a database, HTTP, and workers."""

    def __init__(self, name: str, settings: BareSettings, *, migrations: Sequence[Migration] = ()) -> None:
        self.name = name
        self.settings = settings
        self._client = mongo.connect(settings.mongo_url)
        self.database: Database = self._client[name]
        self.sign_in = SignIn(Trust(settings.oidc_issuer, settings.oidc_audience, settings.oidc_roles_claim))
        self._migrations = migrations
        self._workers: list[Worker] = []
        self._started = False
        self.is_ending = False
        """Whether it was told to end: requests that wait for something are to be answered."""

    def employ(self, worker: Worker) -> None:
        """Let a worker run as long as the service does."""
        self._workers.append(worker)

    def app(
        self, *, other_limits: Mapping[str, int | None] | None = None, readers: Sequence[Role] = (Role.OPERATOR,)
    ) -> FastAPI:
        """The application, with everything every door has; the service adds its own routes.

        `other_limits` are the bytes that the body of a path may have where they are not the usual ones; None for any.
        `readers` may read what the routes are.
        """
        title = f"integrationsbuero {self.name}"
        app = FastAPI(title=title, lifespan=self._lifespan, openapi_url=None, redirect_slashes=False)
        app.state.settings = self.settings
        app.state.service = self
        equip(app, self._readiness, self.sign_in, other_limits=other_limits)
        add_documents(app, *readers)
        return app

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        logs.configure(self.name, self.settings.log_format)
        require_roles(app)
        await self.sign_in.start()
        starting = asyncio.create_task(self._start())
        try:
            yield
        finally:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            if self._started:
                for worker in reversed(self._workers):
                    await worker.stop()
            await self._close()
            await self.sign_in.stop()
            self._client.close()
            log.info("service_stopped")

    async def _start(self) -> None:
        try:
            await self._open()
            for worker in self._workers:
                await worker.start()
        except Exception:
            log.exception("service_not_started")
            signal.raise_signal(signal.SIGTERM)  # whoever started us shall see it; waiting would not mend it
            raise
        settle()
        self._started = True
        log.info("service_started", host=self.settings.host, port=self.settings.port)
        await stay_small()

    async def _open(self) -> None:
        await migrate(self.database, self._migrations)

    async def _close(self) -> None:
        """What was opened ends; the store is still there."""

    def _readiness(self) -> dict[str, bool]:
        return {"started": self._started, "sign_in": self.sign_in.is_ready}


class Service(BareService, Generic[S]):
    """One service of the platform, which events reach and which tells events."""

    def __init__(
        self,
        name: str,
        settings: ServiceSettings,
        *,
        states: Callable[[Database], States[S]],
        reactions: Sequence[Reaction[Any, S]],
        subscriptions: Sequence[Subscription],
        migrations: Sequence[Migration] = (),
        adoptions: Sequence[Reaction[Any, S]] = (),
        repetitions: Mapping[type[Event], Repetition[S]] | None = None,
        loose_ends: LooseEnds[S] | None = None,
    ) -> None:
        """`adoptions`, `repetitions` and `loose_ends` are for `wegweiser rewind` alone: what it takes over of what the
        service told itself, what it decides again because the service told it without having read anything, and what
        it ends because nobody can know any more how it went.
        """
        super().__init__(name, settings)
        self.receives = tuple(reaction.event for reaction in reactions)
        self.subscriptions = subscriptions
        self.states = states(self.database)
        self.pipeline: Pipeline[S] = Pipeline(
            name,
            settings,
            self.database,
            self.states,
            reactions,
            subscriptions,
            migrations,
            adoptions,
            repetitions,
            loose_ends,
        )

    def employ(self, worker: Worker) -> None:
        """Let a worker run beside the pipeline."""
        super().employ(worker)
        self.pipeline.after_batch.append(worker.nudge)

    def app(
        self, *, other_limits: Mapping[str, int | None] | None = None, readers: Sequence[Role] = (Role.OPERATOR,)
    ) -> FastAPI:
        """The application of a bare service, with the operators' routes and what it sends and receives."""
        app = super().app(other_limits=other_limits, readers=readers)
        app.include_router(operators_router(self.pipeline, self.database))
        add_asyncapi(app, lambda: asyncapi(self.name, self.receives, self.subscriptions))
        return app

    async def _open(self) -> None:
        await self.pipeline.start()

    async def _close(self) -> None:
        await self.pipeline.stop()

    def _readiness(self) -> dict[str, bool]:
        return {**super()._readiness(), **self.pipeline.readiness()}
