"""How long after its `201` a partner sees a case, beside what Kafka alone takes from a sender to a reader."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import quantiles
from typing import Final

from benchmarks.figures import Figure, beside
from benchmarks.harness import ROUND_TRIP, Bench, Trial
from benchmarks.services import Services
from shared.topics import REFERRALS

SECONDS: Final = 10
PER_SECOND: Final = 50
GOAL: Final = 10


def measure(bench: Bench, services: Services) -> Sequence[Figure]:
    """Both at the same pace, in turn. All clocks are the machine's monotonic one, in milliseconds."""
    services.start_missing()
    platform: dict[int, list[float]] = defaultdict(list)
    kafka: dict[int, list[float]] = defaultdict(list)
    posted(bench, services, per_second=PER_SECOND, seconds=2)
    for _ in bench.rounds:
        _note(platform, posted(bench, services, per_second=PER_SECOND, seconds=SECONDS))
        _note(kafka, _bare(bench))
    return [
        beside("latency: 201 to partner, p50", platform[50], "ms", kafka[50], at_most=GOAL),
        beside("latency: 201 to partner, p99", platform[99], "ms", kafka[99]),
    ]


def posted(bench: Bench, services: Services, *, per_second: int, seconds: int) -> list[float]:
    """Cases posted at this pace: the milliseconds from each `201` to its offer in the partner's queue."""
    reader = _reader(bench, f"^{REFERRALS.strip('^$')}$")
    sent = bench.run(
        "post_paced", url=services.intake_url, token=services.token, per_second=per_second, seconds=seconds
    )
    return _between(sent, reader)


def _bare(bench: Bench) -> list[float]:
    reader = _reader(bench, f"^{ROUND_TRIP}$")
    sent = bench.run("send_paced", topic=ROUND_TRIP, per_second=PER_SECOND, seconds=SECONDS)
    return _between(sent, reader)


def _reader(bench: Bench, pattern: str) -> Trial:
    reader = bench.begin("reader", pattern=pattern)
    reader.await_ready()
    return reader


def _between(sent: dict[str, float], reader: Trial) -> list[float]:
    seen = reader.finish()
    return [(seen[id_] - moment) * 1000 for id_, moment in sent.items()]


def _note(taken: dict[int, list[float]], milliseconds: Sequence[float]) -> None:
    cuts = quantiles(milliseconds, n=100)
    for percentile in (50, 99):
        taken[percentile].append(cuts[percentile - 1])
