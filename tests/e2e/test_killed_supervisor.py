"""A platform keeps what it knows to whoever started it, and leaves no process behind when it is killed."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.embedded.daemon import Home, tied
from deploy.embedded.ports import free_ports
from e2e.platforms import ROOT
from e2e.waiting import eventually
from shared.topics import DOORS
from wegweiser.platform import PID_FILE

PORTS = ("KAFKA", "KAFKA_CONTROLLER", "MONGO", "SMTP", "ISSUER", *(name.upper() for name in DOORS))


@dataclass(frozen=True)
class Started:
    """`wegweiser run` as a process, and the folder that it keeps everything in."""

    process: subprocess.Popen[bytes]
    var: Path

    @property
    def children(self) -> set[str]:
        """Those that run."""
        home = Home(self.var)
        names = {file.stem for file in home.run.glob("*.pid")} - {PID_FILE}
        return {name for name in names if home.pid_file(name).read()}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def started_in(folder: Path) -> subprocess.Popen[bytes]:
    """On free ports; what it says is in the file `said`."""
    ports = {f"{name}_PORT": str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    places = {"VAR_DIR": str(folder / "var"), "JAR_CACHE": str(ROOT / "var" / "cache" / "jars")}
    with (folder / "said").open("w") as output:
        return subprocess.Popen(
            tied([sys.executable, "-m", "wegweiser", "run"]),
            env={**os.environ, **places, **ports, "MONGO_CACHE_GB": "0.25"},
            stdout=output,
            stderr=subprocess.STDOUT,
            umask=0o022,
        )


@pytest_asyncio.fixture(scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Started]:
    """With all its processes there."""
    folder = tmp_path_factory.mktemp("killed")
    process = started_in(folder)
    made = Started(process, folder / "var")

    async def all_run() -> bool:
        assert process.poll() is None, (folder / "said").read_text()
        return {"kafka", "mongod", "mail", "partner-awo", *DOORS} <= made.children

    try:
        await eventually(all_run)
        yield made
    finally:
        made.kill()


def is_open_to_others(path: Path) -> bool:
    try:
        return bool(path.lstat().st_mode & 0o077)
    except FileNotFoundError:  # it was there for a moment
        return False


async def test_nobody_else_on_the_machine_may_read_what_it_keeps(started: Started) -> None:
    async def mails_lie_there() -> bool:
        return any((started.var / "mail").glob("*.eml"))

    await eventually(mails_lie_there)

    assert [path for path in (started.var, *started.var.rglob("*")) if is_open_to_others(path)] == []


async def test_a_killed_platform_takes_all_its_processes_along(started: Started) -> None:
    async def none_runs() -> bool:
        return not started.children

    started.kill()

    await eventually(none_runs, seconds=5)
