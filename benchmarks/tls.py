"""What signing in and encryption cost: the chain on the locked Kafka, and on one that is open to everybody."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from benchmarks.chain import answered
from benchmarks.figures import Figure, beside
from benchmarks.harness import ROOT, Bench, partners
from benchmarks.services import Services
from deploy.embedded.daemon import Home
from deploy.embedded.kafka import KafkaBroker
from deploy.embedded.ports import free_ports
from deploy.secrets import Secrets
from deploy.settings import ADMIN
from shared.topics import provision, topics_for

CASES: Final = 5_000
GOAL: Final = 0.75


def measure(bench: Bench, services: Services) -> Sequence[Figure]:
    """In turn, with services that are started anew each time, on the same databases."""
    services.stop()
    with _open_kafka(bench) as open_to_all:
        others = Services(open_to_all)
        rounds = [(_chain(bench, services), _chain(open_to_all, others)) for _ in bench.rounds]
    locked, plain = zip(*rounds, strict=True)
    return [beside("tls: chain by SASL_SSL, beside PLAINTEXT", locked, "cases/s", plain, at_least=GOAL)]


def _chain(bench: Bench, services: Services) -> float:
    try:
        with answered(bench, services):
            rate: float = bench.run("referrals", cases=bench.scaled(CASES))["rate"]
    finally:
        services.stop()
    return rate


@contextmanager
def _open_kafka(bench: Bench) -> Iterator[Bench]:
    """A second Kafka without users and encryption, beside the same MongoDB."""
    home = bench.home / "open"
    port, controller_port = free_ports(2)
    broker = KafkaBroker(
        Home(home),
        port=port,
        controller_port=controller_port,
        jar_cache=ROOT / "var" / "cache" / "jars",
        secrets=Secrets(home / "secrets"),
        protocol="PLAINTEXT",
    )
    broker.start()
    try:
        access = broker.access_of(ADMIN)
        asyncio.run(provision(access, topics_for(partners())))
        yield replace(bench, kafka=access, home=home)
    finally:
        broker.discard()
