"""Keeps the platform's processes running: what dies is started again, what is stopped is stopped in order.

One that was stopped by hand stays down until it is wanted again.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from deploy.backends import Server
from deploy.errors import DeployError, KilledError

Say = Callable[[str], None]
"""Shows one line to whoever watches."""

_LOOK_SECONDS: Final = 0.2
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_STABLE_SECONDS: Final = 60.0
"""Who ran this long was well; its next end counts as a first one."""


def pause_before(failures: int) -> float:
    """Seconds to wait before a server is started again that ended `failures` times in a row, counted from 1."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (failures - 1))


class Supervisor:
    """Starts servers, watches them, stops them."""

    def __init__(self, say: Say, is_stopped: Callable[[str], bool]) -> None:
        """`is_stopped` tells by name who was stopped by hand and is left alone until that ends."""
        self._say = say
        self._is_stopped = is_stopped
        self._starting: dict[str, asyncio.Future[None]] = {}
        self._watches: list[asyncio.Task[None]] = []

    async def start(self, *servers: Server) -> None:
        """Start all of them at once and watch each from then on; raises the first `DeployError`."""
        await asyncio.gather(*(self._bring_up(server) for server in servers))

    async def stop(self, groups: Sequence[Sequence[Server]]) -> None:
        """Stop the groups one after another, the members of a group at once; also those that are still starting."""
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        for group in groups:
            await asyncio.gather(*(self._stop(server) for server in group))

    async def _bring_up(self, server: Server) -> None:
        try:
            await self._start(server)
        except KilledError as error:
            self._say(str(error))
        self._watches.append(asyncio.create_task(self._watch(server)))

    async def _start(self, server: Server) -> None:
        started = asyncio.ensure_future(asyncio.to_thread(server.start))
        self._starting[server.name] = started
        await asyncio.shield(started)  # a thread cannot be cancelled; `_stop` waits for it

    async def _stop(self, server: Server) -> None:
        starting = self._starting.get(server.name)
        while starting and not starting.done():
            await asyncio.to_thread(server.stop)
            await asyncio.wait([starting], timeout=_LOOK_SECONDS)
        if starting:
            await asyncio.gather(starting, return_exceptions=True)  # that it did not come up is what was asked for
        await asyncio.to_thread(server.discard)

    async def _watch(self, server: Server) -> None:
        failures = 0
        since = time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if server.is_running:
                if not self._is_stopped(server.name):
                    continue
                await asyncio.to_thread(server.stop)  # it was about to start when it was stopped by hand
            if not self._is_stopped(server.name):
                failures = 1 if time.monotonic() - since > _STABLE_SECONDS else failures + 1
                pause = pause_before(failures)
                self._say(f"{server.name} has ended unexpectedly; it is started again in {pause:g} s")
                await asyncio.sleep(pause)
            if self._is_stopped(server.name):
                self._say(f"{server.name} is stopped by hand; `wegweiser start {server.name}` starts it again")
                while self._is_stopped(server.name):  # noqa: ASYNC110  # another process ends it
                    await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._start(server)
            except DeployError as error:
                self._say(str(error))
            else:
                self._say(f"{server.name} is back")
            since = time.monotonic()
