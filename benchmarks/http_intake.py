"""Durable `201`s a second at the HTTP door, beside an endpoint that stores the same with a transaction a request."""

import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pymongo import MongoClient

from benchmarks.figures import Figure, beside
from benchmarks.harness import Bench, TrialError, name_of_trial
from benchmarks.services import Services
from deploy.embedded.ports import free_ports

SECONDS: Final = 8
CONNECTIONS: Final = 64
GOAL: Final = 3

_SCRIPT: Final = Path(__file__).parent / "post_case.lua"
_PEER: Final = "bench-peer"


def measure(bench: Bench, services: Services) -> Sequence[Figure]:
    """Intake alone runs, as its peer does; each stored case is counted in the store."""
    services.stop()
    services.start(["intake"])
    [port] = free_ports(1)
    peer = bench.begin("intake_peer", port=port, database=_PEER)
    peer.await_ready()
    doors = {"intake": services.intake_url, _PEER: f"http://127.0.0.1:{port}"}
    rates: dict[str, list[float]] = defaultdict(list)
    for door, url in doors.items():
        _post(bench, door, url, services.token, seconds=2)
    for _ in bench.rounds:
        for door, url in doors.items():
            rates[door].append(_post(bench, door, url, services.token, seconds=SECONDS))
    peer.finish()
    bench.drop(_PEER)
    services.stop()
    name = f"intake: durable 201s, {CONNECTIONS} connections ({_generator()})"
    return [beside(name, rates["intake"], "201s/s", rates[_PEER], at_least=GOAL)]


def _generator() -> str:
    return "wrk" if shutil.which("wrk") else "own client"


def _post(bench: Bench, database: str, url: str, token: str, *, seconds: int) -> float:
    """Answers a second, none of them an error; raises where the store holds fewer new cases than were answered."""
    before = _cases(bench, database)
    said = _by_wrk(url, token, seconds) if shutil.which("wrk") else _by_own_client(bench, url, token, seconds)
    stored = _cases(bench, database) - before
    if said["failed"] or stored < said["answers"]:
        raise TrialError(f"{database}: {said}, but {stored} cases stored")
    return said["answers"] / said["seconds"]


def _by_wrk(url: str, token: str, seconds: int) -> dict[str, float]:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(_SCRIPT), url]
    done = subprocess.run([*command, "--", name_of_trial(), token], capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _by_own_client(bench: Bench, url: str, token: str, seconds: int) -> dict[str, float]:
    return bench.run("post_cases", url=url, token=token, seconds=seconds, connections=CONNECTIONS)


def _cases(bench: Bench, database: str) -> int:
    with MongoClient[dict[str, object]](bench.mongo) as client:
        return client[database]["cases"].count_documents({})
