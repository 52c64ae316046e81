"""Memory, idle CPU and start of the four services."""

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from benchmarks.figures import Figure, at_most
from benchmarks.harness import Bench
from benchmarks.services import Services

READY_SECONDS: Final = 3.0
RESIDENT_MEGABYTES: Final = 120.0
IDLE_PERCENT: Final = 3.0
_SETTLING: Final = 15.0
"""A service looks every ten seconds whether there is memory to give back."""
_IDLE: Final = 20.0


def starts(bench: Bench, services: Services) -> Sequence[Figure]:
    """From exec to `/health/ready`; the first start of each also makes its indexes. The services run afterwards."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in bench.rounds:
        services.stop()
        for name, took in services.start().items():
            seconds[name].append(took)
    return [at_most(f"start to ready: {name}", took, "s", READY_SECONDS) for name, took in seconds.items()]


def load_behind(bench: Bench, services: Services) -> Sequence[Figure]:
    """What the services hold and use when the load is gone; to be called after the chain."""
    services.start_missing()
    time.sleep(_SETTLING)
    resident = [
        at_most(f"resident after load: {name}", [process.resident_megabytes], "MB", RESIDENT_MEGABYTES)
        for name, process in services.processes.items()
    ]
    idle = []
    for _ in bench.rounds:
        began, used = time.monotonic(), _cpu_seconds(services)
        time.sleep(_IDLE / len(bench.rounds))
        idle.append((_cpu_seconds(services) - used) / (time.monotonic() - began) * 100)
    return [*resident, at_most("idle CPU of all four", idle, "% of a core", IDLE_PERCENT)]


def _cpu_seconds(services: Services) -> float:
    return sum(process.cpu_seconds for process in services.processes.values())
