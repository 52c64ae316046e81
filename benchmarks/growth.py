"""Whether a hop gets slower when much is stored."""

import asyncio
from collections.abc import Sequence
from typing import Final

from benchmarks.figures import Figure, beside
from benchmarks.harness import Bench, name_of_trial
from benchmarks.positions import Positions, begin_at, ends_of
from benchmarks.trials.stored import stored_id
from benchmarks.trials.workload import IN, a_case, write_cases

MANY: Final = 300_000
FEW: Final = 3_000
NEW: Final = 6_000
"""New cases in each round, beside one record for each of the few cases that both have stored."""

_EVERY: Final = MANY // FEW
_MANY, _FEW = "bench-many", "bench-few"


def measure(bench: Bench) -> Sequence[Figure]:
    """The same records on a database with many cases and on one with few, in turn; the large one keeps growing."""
    bench.run("stored", name=_MANY, cases=MANY, step=_EVERY if bench.quick else 1)
    many, few = [], []
    for _ in bench.rounds:
        positions = asyncio.run(ends_of(bench.kafka, IN))
        known = [a_case(stored_id(number)) for number in range(0, MANY, _EVERY)]
        asyncio.run(write_cases(bench.kafka, [*known, *(a_case() for _ in range(NEW))]))
        bench.drop(_FEW)
        bench.run("stored", name=_FEW, cases=MANY, step=_EVERY)
        few.append(_rate(bench, _FEW, positions))
        many.append(_rate(bench, _MANY, positions))
    bench.drop(_FEW, _MANY)
    return [beside(f"hop with {MANY:,} stored cases, beside {FEW:,}", many, "records/s", few, at_least=0.9)]


def _rate(bench: Bench, database: str, positions: Positions) -> float:
    group = name_of_trial()
    asyncio.run(begin_at(bench.kafka, group, positions))
    rate: float = bench.run("pipeline", name=group, database=database, records=FEW + NEW)["rate"]
    return rate
