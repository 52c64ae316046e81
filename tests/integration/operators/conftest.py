"""The toy behind the operators' routes on a real server, and the command line as an operator types it."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from click.testing import Result
from fastapi import FastAPI
from signing import give_tokens, sign_in, signed
from toy.service import Tally
from toy.trial import Trial, a_trial, running
from typer.testing import CliRunner
from typing_commands import Typed

from deploy.backends import Backends
from shared.pipeline.pipeline import Pipeline
from shared.web.equipment import equip
from shared.web.operators import operators_router
from shared.web.roles import Role
from wegweiser.cli import app as command_line

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
async def trial(backends: Backends) -> AsyncIterator[Trial]:
    """The toy with topics and database of its own."""
    async with a_trial(backends.kafka, backends.mongo) as made:
        yield made


@pytest.fixture
async def toy(trial: Trial) -> AsyncIterator[Pipeline[Tally]]:
    """The toy, running."""
    pipeline = trial.pipeline()
    async with running(pipeline):
        yield pipeline


@pytest.fixture
def door(toy: Pipeline[Tally], trial: Trial) -> FastAPI:
    """Its HTTP door."""
    app = FastAPI()
    equip(app, dict, sign_in())
    app.include_router(operators_router(toy, trial.database))
    return app


@pytest.fixture
async def http(door: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that holds the token."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(door), base_url="http://toy", headers=signed(Role.OPERATOR)
    ) as client:
        yield client


@pytest.fixture
async def url(door: FastAPI) -> AsyncIterator[str]:
    """The same door behind a real server."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(door, log_config=None, lifespan="off", timeout_graceful_shutdown=2))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving


@pytest.fixture
def typed(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Types a command where no service runs."""
    give_tokens(monkeypatch, Role.OPERATOR)
    for name, value in trial.kafka.environment.items():
        monkeypatch.setenv(name, value)
    for service in ("INTAKE", "ROUTING", "SCHEDULING", "NOTIFY"):
        monkeypatch.setenv(f"{service}_URL", NOBODY)

    async def invoke(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, command_line, arguments)

    return invoke


@pytest.fixture
def typed_beside(typed: Typed, url: str, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Types a command where the toy runs in routing's place, and nobody else."""
    monkeypatch.setenv("ROUTING_URL", url)
    return typed
