"""What webhooks are measured beside: bodies posted to a receiver, and nothing else."""

import asyncio
import json
import time
from typing import Any

import httpcore

from benchmarks.trials.process import Assignment, run


class Posting(Assignment):
    """How many events of how many referrals go to which port, over so many connections."""

    port: int
    events: int
    referrals: int
    connections: int
    body: dict[str, Any]


async def trial(told: Posting) -> dict[str, Any]:
    """Posts a second."""
    lanes = iter(range(told.referrals))
    url = f"http://127.0.0.1:{told.port}/in"
    began = time.monotonic()
    async with httpcore.AsyncConnectionPool(max_connections=told.connections) as pool:

        async def post() -> None:
            for lane in lanes:
                for number in range(told.events // told.referrals):
                    body = {**told.body, "subject": str(lane), "sequence": str(number + 1)}
                    await pool.request("POST", url, content=json.dumps(body).encode())

        await asyncio.gather(*(post() for _ in range(told.connections)))
    return {"rate": told.events / (time.monotonic() - began)}


if __name__ == "__main__":
    run(trial, Posting)
