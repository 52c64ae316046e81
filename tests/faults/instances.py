"""Instances of a service as processes that tests kill, freeze and wake."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from toy.trial import Trial, eventually

from deploy.backends import Backends
from deploy.embedded.daemon import tied
from deploy.embedded.ports import free_ports

ROOT: Final = Path(__file__).parents[2]


class Instance:
    """One process."""

    def __init__(self, log: Path, module: str, *options: str, **environment: str) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                tied([sys.executable, "-m", module, *options]),
                cwd=ROOT,
                env={**os.environ, **environment, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid

    async def ready(self, *, event: str = "partitions_assigned", seconds: float = 120) -> "Instance":
        """Wait until it belongs to its group, or says another event."""
        await eventually(lambda: self._said(event), what=event, seconds=seconds)
        return self

    async def _said(self, event: str) -> bool:
        assert self._process.poll() is None, f"it ended with {self._process.returncode}: {self.lines()[-3:]}"
        return bool(self.events(event))

    def lines(self) -> list[str]:
        """Everything it logged."""
        return self._log.read_text(errors="replace").splitlines()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Its log events of one name, in order."""
        lines = [line for line in self.lines() if f'"event": "{name}"' in line]
        return [json.loads(line) for line in lines]

    def signal(self, number: int) -> None:
        """Send a signal to this very process."""
        os.kill(self.pid, number)

    async def ended(self, *, seconds: float = 120) -> int:
        """Wait for its end and return how it ended, negative for a signal."""

        async def code() -> tuple[int] | None:
            found = self._process.poll()
            return None if found is None else (found,)

        [found] = await eventually(code, what="the end of the process", seconds=seconds)
        return int(found)

    async def frozen(self, *, seconds: float = 120) -> None:
        """Wait until it stands still."""

        async def stands_still() -> bool:
            return state_of(self.pid) == "T"

        await eventually(stands_still, what="the standstill", seconds=seconds)

    def wake(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    async def kill(self) -> None:
        """As a crash would, whatever state it is in; harmless where it has ended."""
        if self._process.poll() is None:
            self._process.kill()
        await asyncio.to_thread(self._process.wait)

    async def stop(self, *, seconds: float = 120) -> int:
        """SIGTERM, and wait for the end."""
        self.signal(signal.SIGTERM)
        return await self.ended(seconds=seconds)

    @property
    def resident_megabytes(self) -> float:
        """The most memory it ever held."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def state_of(pid: int) -> str:
    """The letter that the kernel gives a process; `T` is one that was stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


class Instances:
    """All processes of one test. `said` are the first arguments of each, for the toy those that name its trial."""

    def __init__(self, logs: Path, module: str, *said: str, **environment: str) -> None:
        self._logs = logs
        self._module = module
        self._said = said
        self._environment = environment
        self._all: list[Instance] = []

    def start(self, *options: str) -> Instance:
        """One more instance, which may listen on a port of its own."""
        log = self._logs / f"{'-'.join((self._module, *self._said[:1]))}-{len(list(self._logs.iterdir()))}.log"
        port = str(free_ports(1)[0])
        instance = Instance(log, self._module, *self._said, *options, **self._environment, PORT=port)
        self._all.append(instance)
        return instance

    async def kill(self) -> None:
        """End what still runs."""
        for instance in self._all:
            await instance.kill()


@asynccontextmanager
async def instances_of(trial: Trial, logs: Path) -> AsyncIterator[Instances]:
    """A place for instances of the toy, which are killed at the end."""
    made = Instances(logs, "toy.run", trial.names.service, **trial.kafka.environment, MONGO_URL=trial.mongo_url)
    try:
        yield made
    finally:
        await made.kill()


@asynccontextmanager
async def instances_of_routing(backends: Backends, logs: Path) -> AsyncIterator[Instances]:
    """A place for instances of routing, which are killed at the end."""
    said = {**backends.kafka.environment, "MONGO_URL": backends.mongo, "LOG_FORMAT": "json"}
    made = Instances(logs, "faults.routing_process", **said)
    try:
        yield made
    finally:
        await made.kill()
