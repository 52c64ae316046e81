"""Instances of the toy service as processes that tests kill, freeze and wake."""

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

from deploy.embedded.daemon import tied

ROOT: Final = Path(__file__).parents[2]


class Instance:
    """One process of the toy on a trial's topics and database."""

    def __init__(self, trial: Trial, log: Path, *options: str) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                tied([sys.executable, "-m", "toy.run", trial.names.service, trial.kafka, trial.mongo_url, *options]),
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid

    async def ready(self, *, seconds: float = 120) -> "Instance":
        """Wait until it belongs to its group."""
        await eventually(lambda: self._said("partitions_assigned"), what="the assignment", seconds=seconds)
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
    """All processes of one trial."""

    def __init__(self, trial: Trial, logs: Path) -> None:
        self._trial = trial
        self._logs = logs
        self._all: list[Instance] = []

    def start(self, *options: str) -> Instance:
        """One more instance."""
        log = self._logs / f"{self._trial.names.service}-{len(list(self._logs.iterdir()))}.log"
        instance = Instance(self._trial, log, *options)
        self._all.append(instance)
        return instance

    async def kill(self) -> None:
        """End what still runs."""
        for instance in self._all:
            await instance.kill()


@asynccontextmanager
async def instances_of(trial: Trial, logs: Path) -> AsyncIterator[Instances]:
    """A place for instances, which are killed at the end."""
    made = Instances(trial, logs)
    try:
        yield made
    finally:
        await made.kill()
