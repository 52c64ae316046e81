"""What one partner that floods its replies at its quota costs the others."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import quantiles
from typing import Final

from benchmarks.chain import answered
from benchmarks.figures import Figure, beside, plain
from benchmarks.harness import Bench
from benchmarks.latency import PER_SECOND, SECONDS, posted
from benchmarks.services import Services
from deploy.onboarding import Onboarding
from deploy.secrets import Secrets
from wegweiser.addresses import Bus
from wegweiser.settings import PlatformSettings

NOISY: Final = "noisy"
"""It has no part in the cases: what it says of its own would wait behind its flood."""
CASES: Final = 5_000
THROUGHPUT: Final = 0.9
DELAY: Final = 2
_NONE, _PLAIN, _PACKED = _KINDS = ("no flood", "flood", "packed flood")


def measure(bench: Bench, services: Services) -> Sequence[Figure]:
    """The chain, and from `201` to the partner, each without a flood, with one, and with a packed one in turn."""
    onboarding = Onboarding(
        bench.kafka,
        Secrets(bench.home / "secrets"),
        bench.home,
        told={},
        others={},
        quota=PlatformSettings().partner_quota,
    )
    for step in onboarding.adding(NOISY):
        step.do()
    flood = replace(bench, kafka=Bus(_env_file=onboarding.credentials(NOISY)))
    rates: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    delays: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    replies: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    with answered(bench, services):
        for _ in bench.rounds:
            for kind in _KINDS:
                with _flooding(flood, kind, replies[kind]):
                    rates[kind].append(bench.run("referrals", cases=bench.scaled(CASES))["rate"])
                    between = posted(bench, services, per_second=PER_SECOND, seconds=SECONDS)
                    delays[kind].append(quantiles(between, n=100)[98])
    for step in onboarding.removing(NOISY):
        step.do()
    return [
        figure
        for kind in (_PLAIN, _PACKED)
        for figure in (
            plain(f"{kind}: replies of one partner at its quota", replies[kind], "replies/s"),
            beside(f"{kind}: chain meanwhile", rates[kind], "cases/s", rates[_NONE], at_least=THROUGHPUT),
            beside(f"{kind}: 201 to partner meanwhile, p99", delays[kind], "ms", delays[_NONE], at_most=DELAY),
        )
    ]


@contextmanager
def _flooding(flood: Bench, kind: str, replies: list[float]) -> Iterator[None]:
    """The partner floods meanwhile; what it could write a second goes to `replies`."""
    if kind == _NONE:
        yield
        return
    trial = flood.begin("flood", partner_id=NOISY, packed=kind == _PACKED)
    trial.await_ready()
    try:
        yield
    finally:
        replies.append(trial.finish()["rate"])
