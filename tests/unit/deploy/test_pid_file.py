"""A remembered process is recognised, and never mistaken for another of the same number."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.embedded.pid_file import PidFile


def test_a_running_process_is_recognised(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "run" / "x.pid")
    file.write(os.getpid())
    assert file.read() == os.getpid()


def test_a_process_that_was_given_the_number_since_is_not_ours(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "x.pid")
    file.write(os.getpid())
    file.path.write_text(f"{os.getpid()} 1\n")
    assert file.read() is None


def test_a_process_that_has_ended_is_not_remembered(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "x.pid")
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    file.write(process.pid)
    process.communicate(b"\n")
    assert file.read() is None


def test_a_torn_file_is_no_process(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "x.pid")
    file.path.write_text("12")
    assert file.read() is None


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        file = PidFile(tmp_path / "x.pid")
        file.write(process.pid)

        assert file.end(patience=0.1) == process.pid

        assert process.wait() == -9
    assert not file.path.exists()


def test_ending_what_does_not_run_says_so(tmp_path: Path) -> None:
    assert PidFile(tmp_path / "x.pid").end(patience=1) is None
