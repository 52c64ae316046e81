"""The pure decision, on one core, without Kafka and MongoDB."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from benchmarks.figures import Figure, at_least, beside, plain
from benchmarks.harness import Bench
from shared.contracts.codes import Concern

CASES: Final = 20_000
LARGE: Final = (40, 60)
SMALL: Final = (5, 10)
REAL: Final = (40, len(Concern))
"""Partners and fields of work, for twelve towns; events know the real fields only."""


def measure(bench: Bench) -> Sequence[Figure]:
    """Both agreements in turn; the cases have one to three concerns."""
    rates: dict[str, list[float]] = defaultdict(list)
    for _ in bench.rounds:
        for name, rate in bench.run("decide", cases=bench.scaled(CASES), large=LARGE, small=SMALL, real=REAL).items():
            rates[name].append(rate)
    large, small = ("{} partners x {} fields".format(*size) for size in (LARGE, SMALL))
    return [
        at_least(f"decide: takers and why, {large} x 12 towns", rates["large"], "cases/s", 20_000),
        beside(f"decide: the same, {small}, beside it", rates["small"], "cases/s", rates["large"], at_most=1.3),
        plain("decide: the whole decision with its events", rates["whole"], "cases/s"),
    ]
