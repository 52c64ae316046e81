"""Posts cases over so many connections at once; stands in where wrk is not installed."""

import asyncio
import time
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from benchmarks.trials.a_request import case_body, post
from benchmarks.trials.http import Connection
from benchmarks.trials.process import Assignment, run
from shared.contracts.base import new_id


class Rush(Assignment):
    """For so many seconds."""

    url: str
    token: str
    seconds: int
    connections: int


async def trial(rush: Rush) -> dict[str, Any]:
    """How many were answered with 201, and how many otherwise."""
    host = urlsplit(rush.url).netloc
    numbers, name = count(), new_id()
    answers = [0, 0]
    began = time.perf_counter()

    async def post_on() -> None:
        connection = await Connection.open(host)
        while time.perf_counter() - began < rush.seconds:
            status, _ = await connection.send(post(host, rush.token, case_body(f"{name}-{next(numbers)}")))
            answers[status != 201] += 1
        connection.close()

    await asyncio.gather(*(post_on() for _ in range(rush.connections)))
    return {"answers": answers[0], "failed": answers[1], "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    run(trial, Rush)
