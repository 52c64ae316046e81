"""A partner's consumer as a process, or as something that its owner starts and kills."""

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import typer

from deploy.embedded.daemon import common, tied

_STOP_SECONDS: Final = 10.0


class Program:
    """A partner's consumer as a process that can be killed; without a command its owner is asked for that."""

    def __init__(self, command: str | None, environment: dict[str, str], log: Path) -> None:
        self._command = command
        self._environment = environment
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it is started and killed without asking anybody."""
        return self._command is not None

    def start(self, how: str = "", **settings: str) -> None:
        """Start it with these settings, or have it started, and told `how`."""
        if self._command is None:
            typer.prompt(f"Start your consumer{how}, then press Enter", default="", show_default=False)
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # it is what its owner typed
                tied(shlex.split(self._command)),
                env={**common(os.environ), **self._environment, **settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Gently; what does not end is killed."""
        if self._command is None:
            typer.prompt("Stop your consumer, then press Enter", default="", show_default=False)
        elif self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
            self.kill()

    def kill(self) -> None:
        """At once, with all that it started."""
        if self._command is None:
            typer.prompt("Kill your consumer (kill -9), then press Enter", default="", show_default=False)
        elif self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def ended_by_itself(self) -> bool:
        """Whether it has stopped though nobody killed it."""
        return self._process is not None and self._process.poll() is not None

    @contextmanager
    def running(self) -> Iterator[None]:
        """It runs meanwhile; what was started is stopped in the end."""
        self.start()
        try:
            yield
        finally:
            if self._command is not None:
                self.stop()
