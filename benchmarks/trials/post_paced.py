"""Posts cases at a pace and notes when each was answered."""

import json
import time
from collections import deque
from itertools import count
from typing import Any
from urllib.parse import urlsplit

from benchmarks.trials.a_request import case_body, post
from benchmarks.trials.http import Connection
from benchmarks.trials.pace import at_pace
from benchmarks.trials.process import Assignment, run
from shared.contracts.base import new_id


class Pace(Assignment):
    """How many, and for how long."""

    url: str
    token: str
    per_second: int
    seconds: int


async def trial(pace: Pace) -> dict[str, Any]:
    """By case id: the monotonic time in seconds at which its 201 was read."""
    host = urlsplit(pace.url).netloc
    numbers, name = count(), new_id()
    idle: deque[Connection] = deque()  # in turn, so that none is idle until the server closes it
    answered: dict[str, float] = {}

    async def post_one() -> None:
        connection = idle.popleft() if idle else await Connection.open(host)
        status, body = await connection.send(post(host, pace.token, case_body(f"{name}-{next(numbers)}")))
        now = time.monotonic()
        idle.append(connection)
        if status != 201:
            raise RuntimeError(f"answered {status}")
        answered[json.loads(body)["case_id"]] = now

    await at_pace(pace.per_second, pace.seconds, post_one)
    for connection in idle:
        connection.close()
    return answered


if __name__ == "__main__":
    run(trial, Pace)
