"""A child process that is started until it is ready, watched, and stopped gently before firmly.

When the process that started it is killed, the kernel kills the child as well: nothing is left behind.
"""

import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.embedded.pid_file import PidFile
from deploy.embedded.ports import PortTakenError, holder_of
from deploy.errors import DeployError, KilledError

POLL_SECONDS: Final = 0.05
_TAIL_LINES: Final = 10
_LINE_LENGTH: Final = 300
_OUR_OWN: Final = ("KAFKA_", "MONGO_URL", "OIDC_")
"""How settings begin that say where we may go, and as whom: a child is told its own."""
_TIED: Final = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG; it outlasts the exec
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
_STARTER: Final = ThreadPoolExecutor(1)
"""Starts all children: the kernel ends them with the thread that started them, and this one stays to the end."""


def tied(command: Sequence[str]) -> list[str]:
    """The same command, killed when the thread that starts it ends."""
    return [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *command]


def common(environment: Mapping[str, str]) -> dict[str, str]:
    """What a child may know of our environment."""
    return {name: value for name, value in environment.items() if not name.startswith(_OUR_OWN)}


class StartError(DeployError):
    """A process did not come up; the text ends with what its log says last."""

    def __init__(self, name: str, why: str, log: Path, lines: Iterable[str]) -> None:
        said = "".join(f"\n    {line[:_LINE_LENGTH]}" for line in lines)
        super().__init__(f"{name} {why}; {log} ends with:{said}")


@dataclass(frozen=True, slots=True)
class Home:
    """Where children keep what they write: data, logs, and the pid files by which a later run knows them."""

    path: Path

    def data(self, name: str) -> Path:
        """A directory for the data of one child."""
        return self.path / "data" / name

    def log(self, name: str) -> Path:
        """The file that takes what a child prints."""
        return self.path / "log" / f"{name}.log"

    @property
    def run(self) -> Path:
        """The directory of the pid files."""
        return self.path / "run"

    def pid_file(self, name: str) -> PidFile:
        """The file that remembers a child."""
        return PidFile(self.run / f"{name}.pid")

    def stopped(self, name: str) -> Path:
        """A file that lies there as long as somebody wants this child not to run."""
        return self.run / f"{name}.stopped"


class Daemon(ABC):
    """One child process. A subclass says how it is started and when it is ready.

    `ports` are named by the settings that choose them.
    """

    start_seconds = 60.0
    stop_seconds = 20.0

    def __init__(self, name: str, home: Home, *, ports: Mapping[str, int] | None = None) -> None:
        self.name = name
        self.log = home.log(name)
        self._ports = ports or {}
        self._pid_file = home.pid_file(name)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begins_at = 0

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What is executed."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the running process does its work; asked again and again while it starts."""

    def environment(self) -> Mapping[str, str]:
        """What it is told besides what everybody on this machine is: who we are ourselves is not among that."""
        return {}

    def prepare(self) -> None:  # noqa: B027  # most children need no preparation
        """Called before each start, when the ports are known to be free."""

    def last_words(self) -> list[str]:
        """The lines of the log that tell why it ended."""
        return self.log_since_start()[-_TAIL_LINES:]

    def log_since_start(self) -> list[str]:
        """What it has printed since `start` was called."""
        with self.log.open("rb") as log:
            log.seek(self._log_begins_at)
            return log.read().decode(errors="replace").splitlines()

    def failure(self, why: str) -> StartError:
        """What to raise when it does not come up."""
        return StartError(self.name, why, self.log, self.last_words())

    def require_ports(self) -> None:
        """Raise `PortTakenError` where another process listens on a port of ours."""
        for setting, port in self._ports.items():
            if holder := holder_of(port):
                earlier_run = holder.pid is not None and holder.pid == self._pid_file.read()
                raise PortTakenError(self.name, port, holder, setting=setting, earlier_run=earlier_run)

    def start(self) -> None:
        """Start and wait until ready. Raises `PortTakenError`, `StartError` or `KilledError`; nothing runs then."""
        self.require_ports()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._log_begins_at = self.log.stat().st_size if self.log.exists() else 0
        self.prepare()
        with self.log.open("ab") as log:
            self._process = _STARTER.submit(
                subprocess.Popen,
                tied(self.command()),
                env={**common(os.environ), **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C on the terminal is ours; children are stopped in order
            ).result()
        self._pid_file.write(self._process.pid)
        self._await_ready(self._process)

    def stop(self) -> None:
        """SIGTERM, wait, and SIGKILL for what does not end; harmless where nothing runs."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._pid_file.remove()

    def kill(self) -> None:
        """SIGKILL, as a crash would be, and wait for the end."""
        assert self._process is not None, f"{self.name} was not started"
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Stop and start on the same data and ports."""
        self.stop()
        self.start()

    def discard(self) -> None:
        """Stop for good; the data stay."""
        self.stop()

    @property
    def pid(self) -> int:
        """The process id; only of a daemon that was started."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        give_up = time.monotonic() + self.start_seconds
        while not self.is_ready():
            if process.poll() is not None:
                self._pid_file.remove()
                if process.returncode == -signal.SIGKILL:
                    raise KilledError(f"{self.name} was killed while it started")
                raise self.failure(f"ended with {process.returncode} instead of starting")
            if time.monotonic() > give_up:
                self.stop()
                raise self.failure(f"was not ready after {self.start_seconds:.0f} seconds")
            time.sleep(POLL_SECONDS)
