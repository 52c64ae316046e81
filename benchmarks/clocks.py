"""Clocks that come due all at once, and whether offers wait for them."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pymongo import MongoClient

from benchmarks.figures import Figure, at_least, at_most
from benchmarks.harness import Bench
from benchmarks.latency import posted
from benchmarks.services import Services

DUE: Final = 100_000
SECONDS: Final = 20
PER_SECOND: Final = 10
"""Cases posted meanwhile."""
RATE: Final = 1_000
DELAY: Final = 1_000


def measure(bench: Bench, services: Services) -> Sequence[Figure]:
    """So many cases whose partner let the time to respond pass; one routing works them off while new cases come in.

    The delay is from a case's `201` to its offer in the partner's queue, in milliseconds.
    """
    number = bench.scaled(DUE)
    services.start_missing()
    services.processes["routing"].stop()
    bench.run("overdue", cases=number)
    services.start_missing()
    began = time.monotonic()
    delays = sorted(posted(bench, services, per_second=PER_SECOND, seconds=SECONDS))
    with MongoClient[dict[str, Any]](bench.mongo) as client:
        while client["routing"]["cases"].find_one({"next_due": {"$lte": datetime.now(UTC)}}, {"_id": 1}):
            time.sleep(0.2)
    rate = number / (time.monotonic() - began)
    return [
        at_least(f"clocks: {number:,} due at once", [rate], "clocks/s", RATE),
        at_most("clocks: 201 to partner meanwhile, p99", [delays[len(delays) * 99 // 100]], "ms", DELAY),
    ]
