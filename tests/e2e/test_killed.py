"""A platform that is killed leaves no process behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from platforms import ROOT
from waiting import eventually

from deploy.embedded.daemon import Home, tied
from deploy.embedded.ports import free_ports
from shared.topics import SERVICES

PORTS = ("KAFKA", "KAFKA_CONTROLLER", "MONGO", "SMTP", *(name.upper() for name in SERVICES))


async def test_a_killed_platform_takes_all_its_processes_along(tmp_path: Path) -> None:
    ports = {f"{name}_PORT": str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    places = {"VAR_DIR": str(tmp_path), "JAR_CACHE": str(ROOT / "var" / "cache" / "jars"), "MONGO_CACHE_GB": "0.25"}
    home = Home(tmp_path)

    def children() -> set[str]:
        names = {file.stem for file in home.run.glob("*.pid")} - {"platform"}
        return {name for name in names if home.pid_file(name).read()}

    async def all_run() -> bool:
        assert platform.poll() is None, said.read_text()
        return {"kafka", "mongod", "mail", "partner-awo", *SERVICES} <= children()

    async def none_runs() -> bool:
        return not children()

    said = tmp_path / "said"
    with said.open("w") as output:
        platform = subprocess.Popen(
            tied([sys.executable, "-m", "wegweiser", "run"]),
            env={**os.environ, **places, **ports},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        await eventually(all_run)
    finally:
        platform.send_signal(signal.SIGKILL)
        platform.wait()

    await eventually(none_runs, seconds=5)
