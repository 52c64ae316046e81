"""A partner's receiver: a server on this machine that answers as a test says, and remembers what it got."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Got:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent in it."""
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def id(self) -> str:
        """The event's."""
        return self.headers["webhook-id"]


Answer = Callable[[Got], Awaitable[bytes]]


def status(code: int, *headers: str) -> bytes:
    """An answer with this status and no body."""
    return "\r\n".join([f"HTTP/1.1 {code} -", *headers, "Content-Length: 0", "", ""]).encode()


async def welcome(_: Got) -> bytes:
    """Everything is taken."""
    return status(204)


async def hang(_: Got) -> bytes:
    """No answer comes."""
    await asyncio.Event().wait()
    return b""


@dataclass
class Receiver:
    """What it got, and how it answers; `raw` takes the connection over instead."""

    answer: Answer = welcome
    got: list[Got] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    connections: int = 0
    raw: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None
    port: int = 0
    host: str = "localhost"
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Where it listens, by name."""
        return f"{self.scheme}://{self.host}:{self.port}/in"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        try:
            while line := await reader.readline():
                await self._answer(line, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            writer.close()

    async def _answer(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers = {}
        while (header := (await reader.readline()).decode().strip()) != "":
            name, _, value = header.partition(": ")
            headers[name.lower()] = value
        got = Got(line.decode().split()[1], headers, await reader.readexactly(int(headers["content-length"])))
        self.got.append(got)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.raw is not None:
                await self.raw(writer)
                writer.close()
            else:
                writer.write(await self.answer(got))
            await writer.drain()
        finally:
            self.at_once -= 1


@asynccontextmanager
async def receiving(
    answer: Answer = welcome, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Run one for a test, on any port or on one that was chosen for it."""
    receiver = Receiver(answer, scheme="https" if tls else "http")
    tasks: set[asyncio.Task[None]] = set()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(begin, "127.0.0.1", port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # in which transports close
