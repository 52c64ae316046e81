"""The whole way of a case: from the case opened to the message about the appointment."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from benchmarks.figures import Figure, at_least
from benchmarks.harness import Bench
from benchmarks.services import Services

CASES: Final = 20_000
WARM_UP: Final = 500
GOAL: Final = 1000


def measure(bench: Bench, services: Services) -> Sequence[Figure]:
    """All four services and one process that answers for every partner."""
    with answered(bench, services):
        rates = [bench.run("referrals", cases=bench.scaled(CASES))["rate"] for _ in bench.rounds]
    return [at_least("chain: case opened to message sent", rates, "cases/s", GOAL)]


@contextmanager
def answered(bench: Bench, services: Services) -> Iterator[None]:
    """All services run and are warm, and every partner answers."""
    services.start_missing()
    partner = bench.begin("partner")
    partner.await_ready()
    bench.run("referrals", cases=WARM_UP)
    yield
    partner.finish()
