"""One instance of the toy as a process of its own; `python -m toy.run NAME KAFKA MONGO [--die-at POINT]`.

It can be told to kill or freeze itself at a point of the pipeline. The points are put around the pipeline's functions
from outside, so that the pipeline itself knows nothing of them.
"""

import argparse
import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any, Final

from prometheus_client import start_http_server

from shared import logs, mongo
from shared.pipeline import engine
from shared.pipeline.outbox import Publisher
from shared.pipeline.patient_consumer import PatientConsumer
from shared.settings import ServiceSettings
from toy.service import Names, pipeline

BEFORE_TRANSACTION, INSIDE_TRANSACTION, AFTER_TRANSACTION = (
    "before-transaction",
    "inside-transaction",
    "after-transaction",
)
WHILE_PUBLISHING, BEFORE_MARKING, BEFORE_COMMIT = "while-publishing", "before-marking", "before-commit"
POINTS: Final = (
    BEFORE_TRANSACTION,
    INSIDE_TRANSACTION,
    AFTER_TRANSACTION,
    WHILE_PUBLISHING,
    BEFORE_MARKING,
    BEFORE_COMMIT,
)
_PLACES: Final[dict[str, tuple[Any, str]]] = {
    BEFORE_TRANSACTION: (engine, "transact"),
    INSIDE_TRANSACTION: (engine.Engine, "_journal"),
    AFTER_TRANSACTION: (engine, "transact"),
    WHILE_PUBLISHING: (Publisher, "_send"),
    BEFORE_MARKING: (Publisher, "_mark"),
    BEFORE_COMMIT: (PatientConsumer, "_commit"),
}
"""Where each point lies: around which function."""
_AFTERWARDS: Final = (INSIDE_TRANSACTION, AFTER_TRANSACTION, WHILE_PUBLISHING)
_CALL: Final = {WHILE_PUBLISHING: 7}
"""The call at which it happens; the second one elsewhere, when something has gone well before."""


def interrupt(point: str, happen: Callable[[], None]) -> None:
    """Let something happen, once, when the process comes to a point."""
    owner, name = _PLACES[point]
    function = getattr(owner, name)
    calls = 0

    async def interrupted(*args: Any) -> Any:
        nonlocal calls
        if point not in _AFTERWARDS:
            calls += 1
            if calls == _CALL.get(point, 2):
                happen()
        answer = await function(*args)
        if point in _AFTERWARDS:
            calls += 1  # of those that went well
            if calls == _CALL.get(point, 2):
                await asyncio.sleep(0.1)  # what was handed to the client goes out
                happen()
        return answer

    setattr(owner, name, interrupted)


async def main() -> None:
    """Run until SIGTERM; says `ready` and `stopped` as log lines."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--die-at", choices=POINTS)
    parser.add_argument("--freeze-at", choices=POINTS)
    parser.add_argument("--metrics", type=int, help="a port")
    said = parser.parse_args()

    logs.configure(said.run, "json")
    if said.metrics:
        start_http_server(said.metrics, "127.0.0.1")
    if said.die_at:
        interrupt(said.die_at, lambda: os.kill(os.getpid(), signal.SIGKILL))
    if said.freeze_at:
        interrupt(said.freeze_at, lambda: os.kill(os.getpid(), signal.SIGSTOP))

    settings = ServiceSettings(port=1)
    client = mongo.connect(settings.mongo_url)
    toy = pipeline(Names(said.run), client[said.run], settings, settings.mongo_url, batch_records=said.batch)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    starting = asyncio.create_task(toy.start())
    await asyncio.wait({starting, told := asyncio.create_task(stopping.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
    else:
        starting.result()
        await told
    await toy.stop()
    client.close()


if __name__ == "__main__":
    asyncio.run(main())
