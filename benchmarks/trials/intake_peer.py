"""The peer of intake: FastAPI and motor, the same checks and the same documents, one transaction a request."""

import asyncio
from typing import Any

import uvicorn
from fastapi import FastAPI, Request

from benchmarks.trials.process import Assignment, run, say_ready, until_told
from services.intake.domain.decisions import open_case
from services.intake.domain.requests import NewCase
from services.intake.repository import MIGRATIONS, Cases
from shared import mongo
from shared.contracts.base import new_id
from shared.envelope import Cause
from shared.migrations import migrate
from shared.pipeline import engine, outbox
from shared.pipeline.engine import utc_now
from shared.pipeline.outbox import row_of


class Peer(Assignment):
    """Where it listens and stores."""

    port: int
    database: str


def create_app(database: mongo.Database) -> FastAPI:
    """One route."""
    app = FastAPI()
    cases = Cases(database)

    @app.post("/v1/cases", status_code=201)
    async def open_one(request: Request) -> dict[str, Any]:
        said = NewCase.model_validate_json(await request.body())
        cause, now = Cause.begin(), utc_now()
        decision = open_case(said, new_id(), now, ())
        assert decision.state is not None
        assert decision.answer is not None
        state = decision.state.model_copy(update={"version": 1, "sequence": 1})
        row = row_of(decision.events[0], cause, 0, state.id, 1, now)
        async with await database.client.start_session() as session, session.start_transaction():
            mark = {"_id": said.source_reference, "at": now, "answer": decision.answer}
            await database["sources"].insert_one(mark, session=session)
            await cases.save([(0, state)], session)
            await database["outbox"].insert_one(row, session=session)
        return dict(decision.answer)

    return app


async def trial(peer: Peer) -> dict[str, Any]:
    """Serve until told to stop, as uvicorn serves our services."""
    client = mongo.connect(peer.mongo)
    database = client[peer.database]
    await migrate(database, (*engine.MIGRATIONS, *outbox.MIGRATIONS, *MIGRATIONS))
    config = uvicorn.Config(
        create_app(database), host="127.0.0.1", port=peer.port, http="httptools", ws="none", log_level="warning"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.05)
    say_ready()
    await until_told()
    server.should_exit = True
    await serving
    return {}


if __name__ == "__main__":
    run(trial, Peer)
