"""One partner's connections to its receiver: each goes to an address that was checked, and to no other."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore

from services.gateway.domain.webhooks import Answer, Failure, answer_of
from services.gateway.webhooks.addresses import Place, permitted

ATTEMPT_SECONDS: Final = 15.0
"""An attempt may take so long, from the name to the answer."""
CONNECTIONS: Final = 16
"""Of one partner at the same time."""
MOST_OF_AN_ANSWER: Final = 8192
"""Bytes of a body that are read, to nobody's use but that the connection can be used again."""
_BODY_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 5.0
"""For one of several addresses."""
_IDLE_SECONDS: Final = 20.0

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, none where it has none."""


class NoAddressError(httpcore.ConnectError):
    """The host has no address that may be connected to, now."""


class Resolver:
    """The system's resolver, in threads of its own: names that nobody answers for hold up their own partner only."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(2, "resolver")

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a host."""
        try:
            found = await asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            )
        except (OSError, UnicodeError):
            return []
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def close(self) -> None:
        """Wait for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Checked(httpcore.AsyncNetworkBackend):
    """Resolves a name, checks what it is told, and connects to that very address: a name may change its mind."""

    def __init__(self, allowed: Collection[Place], resolve: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._tcp = httpcore.AnyIOBackend()

    async def find(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to."""
        return permitted(Place(host, port), await self._resolve(host, port), self._allowed)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109  # as the library calls it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers; raises `NoAddressError` or what the last one said."""
        error: Exception = NoAddressError()
        for address in await self.find(host, port):
            try:
                return await self._tcp.connect_tcp(address, port, _CONNECT_SECONDS, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error


class Connections:
    """Sends to one partner's receiver: no proxy, no redirect, no cookie, and nothing that takes longer than it may."""

    def __init__(self, allowed: Collection[Place], resolve: Resolve, tls: ssl.SSLContext) -> None:
        self._network = _Checked(allowed, resolve)
        # One connection in each: a pool of several looks at all of them at every request.
        self._free = [
            httpcore.AsyncConnectionPool(
                ssl_context=tls, max_connections=1, keepalive_expiry=_IDLE_SECONDS, network_backend=self._network
            )
            for _ in range(CONNECTIONS)
        ]

    async def find(self, url: str) -> list[str]:
        """The addresses that the host of a checked URL has now and that may be connected to."""
        origin = _target(url).origin
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await self._network.find(origin.host.decode(), origin.port)
        except TimeoutError:
            return []

    async def send(self, url: str, headers: Mapping[str, str], body: str, now: datetime) -> Answer:
        """Make one attempt, of at most `CONNECTIONS` at a time; `url` is a checked one."""
        connection = self._free.pop()
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                return await _send(connection, url, headers, body, now)
        except (TimeoutError, httpcore.TimeoutException):
            return Answer(failure=Failure.TOO_SLOW)
        except NoAddressError:
            return Answer(failure=Failure.NO_PUBLIC_ADDRESS)
        except httpcore.ConnectError as error:
            refused = any(isinstance(why, ssl.SSLError) for why in error.args)
            return Answer(failure=Failure.CERTIFICATE if refused else Failure.NOT_REACHED)
        except ssl.SSLError:  # in TLS 1.3 a certificate of ours may be missed when the connection stands already
            return Answer(failure=Failure.CERTIFICATE)
        except (httpcore.NetworkError, httpcore.ProtocolError):
            return Answer(failure=Failure.BROKEN_OFF)
        finally:
            self._free.append(connection)

    async def close(self) -> None:
        """Close what is open, when nothing is being sent any more."""
        for connection in self._free:
            await connection.aclose()


async def _send(
    connection: httpcore.AsyncConnectionPool, url: str, headers: Mapping[str, str], body: str, now: datetime
) -> Answer:
    content = body.encode()
    sent = {"Host": urlsplit(url).netloc, **headers, "Content-Length": str(len(content))}
    async with connection.stream("POST", _target(url), headers=list(sent.items()), content=content) as response:
        said = {name.lower(): value for name, value in response.headers}
        answer = answer_of(response.status, said.get(b"retry-after", b"").decode("latin-1"), now)
        await _read_a_little(response)
        return answer


def _target(url: str) -> httpcore.URL:
    """The URL without the brackets of an IPv6 address, which are no part of it where it is connected to."""
    target = httpcore.URL(url)
    target.host = target.host.strip(b"[]")
    return target


async def _read_a_little(response: httpcore.Response) -> None:
    """The status is known; what cannot be read in a moment closes the connection and changes nothing."""
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in response.aiter_stream():
                size += len(part)
                if size > MOST_OF_AN_ANSWER:
                    return
    except (TimeoutError, ssl.SSLError, httpcore.NetworkError, httpcore.ProtocolError):
        return
