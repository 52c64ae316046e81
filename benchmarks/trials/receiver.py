"""A partner's receiver of webhooks: it takes everything at once, or holds every request for ever."""

import asyncio
import json
import time
from typing import Any

from benchmarks.trials.process import Assignment, run, say_ready, until_told

_TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


class Receiving(Assignment):
    """Where it listens, and how many events are all; with none it holds what comes."""

    port: int
    events: int = 0


async def trial(told: Receiving) -> dict[str, Any]:
    """When the last event came (seconds since 1970), how many came, and how many of them out of order or twice."""
    latest: dict[str, int] = {}
    connections: set[asyncio.StreamWriter] = set()
    is_all = asyncio.Event()
    requests = disorder = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests, disorder
        connections.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                event = json.loads(await reader.readexactly(length))
                requests += 1
                if not told.events:
                    continue
                disorder += int(event["sequence"]) != latest.get(event["subject"], 0) + 1
                latest[event["subject"]] = int(event["sequence"])
                writer.write(_TAKEN)
                if requests == told.events:
                    is_all.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    await asyncio.start_server(serve, "127.0.0.1", told.port)
    say_ready()
    await (is_all.wait() if told.events else until_told())
    ended = time.time()
    for writer in connections:
        writer.close()
    return {"ended": ended, "disorder": disorder, "requests": requests}


if __name__ == "__main__":
    run(trial, Receiving)
