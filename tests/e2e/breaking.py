"""How processes of a running platform are killed, frozen and woken, known by nothing but their pid files."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import httpx

from deploy.embedded.daemon import Home
from deploy.embedded.ports import free_ports
from e2e.platforms import Running
from e2e.waiting import eventually
from wegweiser.children import ServiceProcess


async def pid_of(running: Running, name: str, *, other_than: int | None = None) -> int:
    """The process of that name, as soon as one runs; perhaps it is still starting."""
    file = Home(running.settings.var_dir).pid_file(name)

    async def found() -> int | None:
        pid = file.read()
        return pid if pid != other_than else None

    pid = await eventually(found)
    assert pid is not None
    return pid


async def kill(running: Running, name: str) -> None:
    """End it as a crash would; the supervisor starts it again."""
    os.kill(await pid_of(running, name), signal.SIGKILL)


async def ready(running: Running, name: str) -> None:
    """Wait until a service says that it is at work."""
    async with httpx.AsyncClient(base_url=running.settings.url_of(name)) as door:

        async def is_ready() -> bool:
            with suppress(httpx.TransportError):
                return (await door.get("/health/ready")).is_success
            return False

        await eventually(is_ready)


async def replace(running: Running, name: str) -> None:
    """Ask it to leave in order, and wait until the supervisor has started the next."""
    pid = await pid_of(running, name)
    os.kill(pid, signal.SIGTERM)
    await pid_of(running, name, other_than=pid)


@asynccontextmanager
async def frozen(running: Running, names: Sequence[str]) -> AsyncIterator[None]:
    """These processes stand still meanwhile, and know nothing of it afterwards."""
    pids = [await pid_of(running, name) for name in names]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class Second(ServiceProcess):
    """A second instance of a service, started by hand; nobody starts it again."""

    def __init__(self, running: Running, name: str) -> None:
        [port] = free_ports(1)
        home = Home(running.settings.var_dir / "second")
        super().__init__(name, home, port=port, environment=partial(running.platform.environment_of, name))
        self.url = f"http://127.0.0.1:{port}"


@asynccontextmanager
async def seconds_of(running: Running, names: Sequence[str]) -> AsyncIterator[Sequence[Second]]:
    """Second instances of these services, which have joined their groups; they are gone afterwards."""
    seconds = [Second(running, name) for name in names]
    try:
        await asyncio.gather(*(asyncio.to_thread(second.start) for second in seconds))
        yield seconds
    finally:
        await asyncio.gather(*(asyncio.to_thread(second.stop) for second in seconds))
