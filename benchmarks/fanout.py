"""Whether routing is slower where the same cases go to many partners instead of a few."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from pymongo import MongoClient

from benchmarks.figures import Figure, beside
from benchmarks.harness import Bench
from benchmarks.positions import begin_at, ends_of
from benchmarks.services import Services
from benchmarks.trials.workload import IN, a_case, write_cases
from services.routing.domain.agreement import Agreement, Partner, Rule
from shared.contracts.codes import Concern, Municipality, ReferralState
from shared.kafka_access import KafkaAccess
from shared.topics import Topic, partner_topics, provision

CASES: Final = 5_000
WARM_UP: Final = 500
FEW: Final = 5
MANY: Final = 50
GOAL: Final = 0.8
_PLACES: Final = [(code, town) for code in tuple(Concern)[:5] for town in Municipality][:MANY]
"""A rule for each: whatever their number, partners have the same cases among them."""


def measure(bench: Bench, services: Services) -> Sequence[Figure]:
    """From a case opened to the acceptance taken in, routing alone and one process that answers for every partner."""
    services.stop()
    rounds = [(_rate(bench, MANY), _rate(bench, FEW)) for _ in bench.rounds]
    many, few = zip(*rounds, strict=True)
    return [beside(f"fan-out: {MANY} partners, beside {FEW}", many, "cases/s", few, at_least=GOAL)]


def _rate(bench: Bench, partners: int) -> float:
    agreement = _agreement(partners)
    bench.drop("routing")
    with _topics(bench.kafka, agreement), _routing(bench, agreement):
        _routed(bench, 0, WARM_UP)
        return _routed(bench, WARM_UP, bench.scaled(CASES))


def _agreement(partners: int) -> Agreement:
    today = datetime.now(UTC).date()
    why: dict[str, Any] = {"basis": "assumption", "why": "made for a benchmark"}
    ids = [f"fan-{number}" for number in range(partners)]
    return Agreement(
        version="2026-01-01",
        valid_from=today - timedelta(days=30),
        valid_to=today + timedelta(days=365),
        partners=tuple(
            Partner(id=id_, name=id_, response_days=5, places=("integrationsbuero",), needs=frozenset()) for id_ in ids
        ),
        rules=tuple(
            Rule(
                id=f"rule-{number}",
                fields=(code,),
                towns=frozenset({town}),
                takers=(ids[number % partners],),
                **why,
            )
            for number, (code, town) in enumerate(_PLACES)
        ),
        **why,
    )


@contextmanager
def _topics(kafka: KafkaAccess, agreement: Agreement) -> Iterator[None]:
    """There meanwhile, and no others of such partners."""
    topics = [topic for partner in agreement.partners for topic in partner_topics(partner.id)]
    asyncio.run(provision(kafka, topics))
    yield
    asyncio.run(_delete(kafka, topics))


async def _delete(kafka: KafkaAccess, topics: Sequence[Topic]) -> None:
    admin = AIOKafkaAdminClient(**kafka.options)
    await admin.start()
    try:
        await admin.delete_topics([topic.name for topic in topics])
    finally:
        await admin.close()


@contextmanager
def _routing(bench: Bench, agreement: Agreement) -> Iterator[None]:
    """It runs, nothing waits for it, and partners answer."""
    asyncio.run(begin_at(bench.kafka, "routing", asyncio.run(ends_of(bench.kafka, IN))))
    services = Services(bench, agreements=[agreement])
    try:
        services.start(["routing"])
        partner = bench.begin("partner")
        partner.await_ready()
        yield
        partner.finish()
    finally:
        services.stop()


def _routed(bench: Bench, known: int, number: int) -> float:
    """So many cases a second, beside those that are known."""
    cases = [a_case(code=code, town=town) for code, town in (_PLACES[index % MANY] for index in range(number))]
    began = time.monotonic()
    asyncio.run(write_cases(bench.kafka, cases))
    with MongoClient[dict[str, Any]](bench.mongo) as client:
        stored = client["routing"]["cases"]
        while stored.count_documents({"referrals.state": ReferralState.ACCEPTED}) < known + number:
            time.sleep(0.2)
    return number / (time.monotonic() - began)
