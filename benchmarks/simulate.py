"""`wegweiser agreement simulate` without its command line: recorded cases under another agreement."""

from collections.abc import Sequence
from typing import Final

from benchmarks.figures import Figure, at_least, plain
from benchmarks.harness import Bench

CASES: Final = 100_000
_NAME: Final = "bench-recorded"


def measure(bench: Bench) -> Sequence[Figure]:
    """The same recorded cases each time."""
    found = [bench.run("simulate", name=_NAME, cases=bench.scaled(CASES)) for _ in bench.rounds]
    bench.drop(_NAME)
    return [
        at_least(f"simulate: {CASES:,} recorded cases", [one["rate"] for one in found], "cases/s", 10_000),
        plain("simulate: CPU of the process", [one["cpu_microseconds"] for one in found], "us/case"),
    ]
