"""Remembers a child process across runs, and is not fooled by a process id that was given to another since."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PidFile:
    """A file with a process id and the moment that process started, in clock ticks since boot."""

    path: Path

    def write(self, pid: int) -> None:
        """Remember a running process."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(f"{pid} {_started(pid)}\n")

    def read(self) -> int | None:
        """The id of the remembered process where that very process still runs."""
        try:
            pid, started = self.path.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if _started(int(pid)) == started else None

    def remove(self) -> None:
        """Forget it."""
        self.path.unlink(missing_ok=True)

    def end(self, *, patience: float) -> int | None:
        """Ask the remembered process to stop, kill it after `patience` seconds; returns its id where there was one."""
        pid = self.read()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            give_up = time.monotonic() + patience
            while self.read() is not None:
                if time.monotonic() > give_up:
                    os.kill(pid, signal.SIGKILL)
                time.sleep(0.05)
        self.remove()
        return pid


def _started(pid: int) -> str | None:
    """Field 22 of /proc/<pid>/stat, counted behind the command in brackets; `None` for a process that has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, started = fields[0], fields[19]
    return None if state in "ZX" else started
