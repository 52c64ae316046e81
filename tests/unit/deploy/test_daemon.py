"""A child process is started until ready, or its end is explained."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from deploy.embedded.daemon import Daemon, Home, StartError
from deploy.errors import KilledError

READY = "from pathlib import Path; import signal; Path({flag!r}).touch(); signal.pause()"


class Script(Daemon):
    """A program of a few words that is ready when its flag lies there."""

    def __init__(self, folder: Path, program: str) -> None:
        super().__init__("script", Home(folder))
        self.flag = folder / "ready"
        self._program = program.format(flag=str(self.flag))

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", self._program]

    def is_ready(self) -> bool:
        return self.flag.exists()


def test_start_returns_when_ready_and_stop_when_ended(tmp_path: Path) -> None:
    script = Script(tmp_path, READY)
    script.start()
    assert script.is_running
    assert Home(tmp_path).pid_file("script").read() == script.pid
    script.stop()
    assert not script.is_running
    assert Home(tmp_path).pid_file("script").read() is None


def test_a_child_is_not_told_who_its_parent_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_SASL_PASSWORD", "MONGO_URL", "OIDC_CLIENT_SECRET", "LANGUAGE"):
        monkeypatch.setenv(name, "of the parent")
    script = Script(tmp_path, "import os; print(dict(os.environ), flush=True); " + READY)

    script.start()
    script.stop()

    told = "".join(script.log_since_start())
    assert "LANGUAGE" in told
    assert not any(name in told for name in ("KAFKA_", "MONGO_", "OIDC_"))


def test_it_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    script = Script(tmp_path, READY)
    asking = threading.Thread(target=script.start)
    asking.start()
    asking.join()

    with pytest.raises(subprocess.TimeoutExpired):
        script._process.wait(0.5)  # type: ignore[union-attr]
    script.stop()


def test_a_restart_makes_another_process(tmp_path: Path) -> None:
    script = Script(tmp_path, READY)
    script.start()
    first = script.pid
    script.restart()
    assert script.pid != first
    script.stop()


def test_what_ends_instead_of_starting_is_explained_by_its_log(tmp_path: Path) -> None:
    script = Script(tmp_path, "raise SystemExit('no room on the disk')")
    with pytest.raises(StartError, match="script ended with 1 instead of starting") as failed:
        script.start()
    assert "no room on the disk" in str(failed.value)
    assert str(script.log) in str(failed.value)


def test_what_never_gets_ready_is_stopped(tmp_path: Path) -> None:
    script = Script(tmp_path, "import signal; signal.pause()")
    script.start_seconds = 0.2
    with pytest.raises(StartError, match="was not ready after 0 seconds"):
        script.start()
    assert not script.is_running


def test_what_is_killed_while_it_starts_is_not_blamed(tmp_path: Path) -> None:
    script = Script(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(KilledError):
        script.start()


def test_stopping_what_was_never_started_does_no_harm(tmp_path: Path) -> None:
    Script(tmp_path, READY).stop()
