"""As much of HTTP/1.1 as a load generator needs: one request after the other on one connection."""

import asyncio
from typing import Self


class Connection:
    """A kept-open connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str) -> Self:
        """Connect to `name:port`."""
        name, _, port = host.partition(":")
        return cls(*await asyncio.open_connection(name, int(port)))

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Send and wait for status and body; the answer has a `Content-Length`."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        fields = (line.partition(b":") for line in head.split(b"\r\n")[1:])
        length = next(int(value) for name, _, value in fields if name.lower() == b"content-length")
        return int(head[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        """Close it."""
        self._writer.close()
