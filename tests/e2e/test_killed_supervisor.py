"""A platform that is killed leaves no process behind."""

import os
import subprocess
import sys
from pathlib import Path

from deploy.embedded.daemon import Home, tied
from deploy.embedded.ports import free_ports
from e2e.platforms import ROOT
from e2e.waiting import eventually
from shared.topics import DOORS
from wegweiser.platform import PID_FILE

PORTS = ("KAFKA", "KAFKA_CONTROLLER", "MONGO", "SMTP", "ISSUER", *(name.upper() for name in DOORS))


def started_in(folder: Path) -> subprocess.Popen[bytes]:
    """`wegweiser run` on free ports; what it says is in the file `said`."""
    ports = {f"{name}_PORT": str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    places = {"VAR_DIR": str(folder), "JAR_CACHE": str(ROOT / "var" / "cache" / "jars"), "MONGO_CACHE_GB": "0.25"}
    with (folder / "said").open("w") as output:
        return subprocess.Popen(
            tied([sys.executable, "-m", "wegweiser", "run"]),
            env={**os.environ, **places, **ports},
            stdout=output,
            stderr=subprocess.STDOUT,
        )


async def test_a_killed_platform_takes_all_its_processes_along(tmp_path: Path) -> None:
    home = Home(tmp_path)
    platform = started_in(tmp_path)

    def children() -> set[str]:
        names = {file.stem for file in home.run.glob("*.pid")} - {PID_FILE}
        return {name for name in names if home.pid_file(name).read()}

    async def all_run() -> bool:
        assert platform.poll() is None, (tmp_path / "said").read_text()
        return {"kafka", "mongod", "mail", "partner-awo", *DOORS} <= children()

    async def none_runs() -> bool:
        return not children()

    try:
        await eventually(all_run)
    finally:
        platform.kill()
        platform.wait()

    await eventually(none_runs, seconds=5)
