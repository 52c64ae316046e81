"""The ground every part stands on: backends of this run's own, trials in processes of their own, the disk's pace."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from pymongo import MongoClient

from deploy.backends import backends as backends_from
from deploy.embedded.ports import free_ports
from deploy.settings import BackendSettings
from services.routing.agreement_files import load_agreements
from shared.kafka_access import KafkaAccess
from shared.topics import Topic, provision, topics_for

ROOT: Final = Path(__file__).parents[1]
AGREEMENTS: Final = ROOT / "deploy" / "agreements"
ROUND_TRIP: Final = "benchmark.round-trip"

_LEADERS_ELECTED: Final = 2.0
"""Seconds until new topics can be written without a second try."""

Result = dict[str, Any]


class TrialError(Exception):
    """A trial ended without a result; carries what it said last."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Where Kafka and MongoDB are, and a directory for whatever a part has to write.

    A quick run does a tenth of everything once: it shows that all parts work, not how fast.
    """

    kafka: KafkaAccess
    mongo: str
    home: Path
    quick: bool = False

    @property
    def rounds(self) -> range:
        """How often everything is measured."""
        return range(1 if self.quick else 3)

    def scaled(self, number: int) -> int:
        """So many, or the tenth of it."""
        return number // 10 if self.quick else number

    def run(self, trial: str, **options: Any) -> Result:
        """Run `benchmarks/trials/<trial>.py` to its end and return its result."""
        return self.begin(trial, **options).result()

    def begin(self, trial: str, **options: Any) -> "Trial":
        """Start a trial that goes on beside others."""
        return Trial(trial, options, self.home, {**self.kafka.environment, "MONGO_URL": self.mongo})

    def drop(self, *databases: str) -> None:
        """Drop databases of this run."""
        with MongoClient[dict[str, Any]](self.mongo) as client:
            for database in databases:
                client.drop_database(database)


class Trial:
    """A trial in a process of its own. It prints its result as the last line; `finish` tells it that it may end."""

    def __init__(self, name: str, options: dict[str, Any], home: Path, environment: dict[str, str]) -> None:
        self._name = name
        self._log = home / f"{name}.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"benchmarks.trials.{name}", json.dumps(options)],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def await_ready(self) -> None:
        """Wait for its first line."""
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            self.result()

    def finish(self) -> Result:
        """Let it end, and return its result."""
        return self.result()

    def result(self) -> Result:
        """Wait for its end; raises `TrialError`."""
        out, _ = self._process.communicate()
        lines = out.splitlines()
        if self._process.returncode != 0 or not lines:
            raise TrialError(f"{self._name} ended with {self._process.returncode}: {self._log.read_text()[-2000:]}")
        result: Result = json.loads(lines[-1])
        return result


@contextmanager
def bench(*, quick: bool) -> Iterator[Bench]:
    """Backends for one run: embedded ones on free ports with nothing in them, or as BACKEND says."""
    home = _own_home(ROOT / "var" / "benchmarks")
    kafka_port, controller_port, mongo_port = free_ports(3)
    backends = backends_from(
        BackendSettings(
            var_dir=home,
            jar_cache=ROOT / "var" / "cache" / "jars",
            kafka_port=kafka_port,
            kafka_controller_port=controller_port,
            mongo_port=mongo_port,
        )
    )
    try:
        backends.start()
        asyncio.run(provision(backends.kafka, [*topics_for(partners()), Topic(ROUND_TRIP)]))
        time.sleep(_LEADERS_ELECTED)
        yield Bench(backends.kafka, backends.mongo, home, quick)
    finally:
        backends.discard()
    shutil.rmtree(home, ignore_errors=True)  # after a failure the logs stay until the next run


def _own_home(parent: Path) -> Path:
    """A directory for this run; what ended runs left there is removed."""
    for other in parent.glob("[0-9]*"):
        if not Path(f"/proc/{other.name}").exists():
            shutil.rmtree(other, ignore_errors=True)
    home = parent / str(os.getpid())
    home.mkdir(parents=True)
    return home


def partners() -> list[str]:
    """Every partner of the agreement."""
    return sorted({partner.id for term in load_agreements(AGREEMENTS).terms for partner in term.partners})


def name_of_trial() -> str:
    """A name nobody used before, for a database and a consumer group."""
    return f"bench-{uuid.uuid4().hex[:12]}"


def fsync_milliseconds(directory: Path, *, times: int = 100) -> float:
    """How long the disk takes to make a small write durable: the median."""
    taken = []
    file = directory / "fsync"
    with file.open("wb", buffering=0) as target:
        for _ in range(times):
            target.write(b"\0" * 4096)
            began = time.perf_counter()
            os.fdatasync(target.fileno())
            taken.append((time.perf_counter() - began) * 1000)
    file.unlink()
    return median(taken)
