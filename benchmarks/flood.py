"""What one partner that floods its replies at its quota costs the others."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import quantiles
from typing import Final

from benchmarks.chain import answered
from benchmarks.figures import Figure, beside, plain
from benchmarks.harness import Bench, partners
from benchmarks.latency import PER_SECOND, SECONDS, posted
from benchmarks.services import Services
from deploy.onboarding import Onboarding
from deploy.secrets import Secrets
from wegweiser.addresses import Bus
from wegweiser.settings import PlatformSettings

CASES: Final = 5_000
THROUGHPUT: Final = 0.9
DELAY: Final = 2


def measure(bench: Bench, services: Services) -> Sequence[Figure]:
    """The chain, and from `201` to the partner, each without and with the flood in turn."""
    onboarding = Onboarding(
        bench.kafka,
        Secrets(bench.home / "secrets"),
        bench.home,
        told={},
        others={},
        quota=PlatformSettings().partner_quota,
    )
    noisy, *_ = partners()
    for step in onboarding.adding(noisy):
        step.do()
    flood = replace(bench, kafka=Bus(_env_file=onboarding.credentials(noisy)))
    rates: tuple[list[float], list[float]] = ([], [])
    delays: tuple[list[float], list[float]] = ([], [])
    replies: list[float] = []
    with answered(bench, services):
        for _ in bench.rounds:
            for flooded in (False, True):
                with _flooding(flood, noisy, replies if flooded else None):
                    rates[flooded].append(bench.run("referrals", cases=bench.scaled(CASES))["rate"])
                    between = posted(bench, services, per_second=PER_SECOND, seconds=SECONDS)
                    delays[flooded].append(quantiles(between, n=100)[98])
    for step in onboarding.removing(noisy):
        step.do()
    return [
        plain("flood: replies of one partner at its quota", replies, "replies/s"),
        beside("flood: chain meanwhile, beside without", rates[True], "cases/s", rates[False], at_least=THROUGHPUT),
        beside("flood: 201 to partner meanwhile, p99", delays[True], "ms", delays[False], at_most=DELAY),
    ]


@contextmanager
def _flooding(flood: Bench, partner_id: str, replies: list[float] | None) -> Iterator[None]:
    """With a list, the partner floods meanwhile and what it could write a second goes there."""
    if replies is None:
        yield
        return
    trial = flood.begin("flood", partner_id=partner_id)
    trial.await_ready()
    try:
        yield
    finally:
        replies.append(trial.finish()["rate"])
