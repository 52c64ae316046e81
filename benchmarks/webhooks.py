"""How fast a partner's webhook is served while another partner's receiver hangs."""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, Final

import httpx
from aiokafka import AIOKafkaProducer

from benchmarks.figures import Figure, at_least, beside
from benchmarks.harness import Bench, TrialError
from benchmarks.services import Services
from deploy.embedded.ports import free_ports
from deploy.onboarding import Onboarding, Step
from deploy.secrets import Secrets
from services.gateway.webhooks.connections import CONNECTIONS
from shared.contracts.base import new_id
from shared.contracts.codes import AgeBand, Concern, Urgency
from shared.contracts.routing import OfferedConcern, ReferralOffered
from shared.envelope import Cause, headers_of, new_traceparent, source_of
from shared.pipeline.outbox import row_of
from wegweiser.settings import PlatformSettings

EVENTS: Final = 5_000
REFERRALS: Final = 250
GOAL: Final = 500
_FAST: Final = "hook-fast"
_HANGING: Final = "hook-hanging"
_SECONDS: Final = 30.0


def measure(bench: Bench, services: Services) -> Sequence[Figure]:
    """From an event written to the queue to the last one taken by the receiver."""
    services.stop()
    events = bench.scaled(EVENTS)
    port, hanging_port = free_ports(2)
    hanging = bench.begin("receiver", port=hanging_port)
    hanging.await_ready()
    with _gateway(bench, services, {_FAST: port, _HANGING: hanging_port}):
        asyncio.run(_tell(bench, _HANGING, events))
        rounds = [(_rate(bench, port, events), _peer(bench, port, events)) for _ in bench.rounds]
    if not hanging.finish()["requests"]:
        raise TrialError("nothing was sent to the receiver that hangs")
    rates, peer = zip(*rounds, strict=True)
    name = "webhooks: queue to receiver while another hangs"
    return [at_least(name, rates, "events/s", GOAL), beside(f"{name}, beside bare posts", rates, "events/s", peer)]


def _rate(bench: Bench, port: int, events: int) -> float:
    receiver = bench.begin("receiver", port=port, events=events)
    receiver.await_ready()
    began = time.time()
    asyncio.run(_tell(bench, _FAST, events))
    return events / (_in_order(receiver.result())["ended"] - began)


def _peer(bench: Bench, port: int, events: int) -> float:
    receiver = bench.begin("receiver", port=port, events=events)
    receiver.await_ready()
    rate: float = bench.run(
        "poster",
        port=port,
        events=events,
        referrals=REFERRALS,
        connections=CONNECTIONS,
        body=_an_offer(_FAST).model_dump(mode="json"),
    )["rate"]
    _in_order(receiver.result())
    return rate


def _in_order(result: dict[str, Any]) -> dict[str, Any]:
    if result["disorder"]:
        raise TrialError(f"{result['disorder']} of {result['requests']} events came out of order or twice")
    return result


async def _tell(bench: Bench, partner_id: str, events: int) -> None:
    """Write to its queue as routing does."""
    source, now = source_of("routing"), datetime.now(UTC)
    offers = [_an_offer(partner_id) for _ in range(REFERRALS)]
    async with AIOKafkaProducer(**bench.kafka.options, acks="all", linger_ms=5) as producer:
        for number in range(1, events // REFERRALS + 1):
            for offer in offers:
                cause = Cause(new_id(), new_id(), new_traceparent())
                row = row_of(offer, cause, 0, None, number, now)
                await producer.send(
                    row["topic"], row["data"].encode(), key=row["subject"].encode(), headers=headers_of(row, source)
                )
        await producer.flush()


def _an_offer(partner_id: str) -> ReferralOffered:
    concern = OfferedConcern(concern_id=new_id(), code=Concern.DEBT, person_id=new_id(), age_band=AgeBand.ADULT)
    return ReferralOffered(
        partner_id=partner_id,
        referral_id=new_id(),
        case_id=new_id(),
        agreement="2017-07-01",
        rules=("debt",),
        concerns=(concern,),
        languages=("ar",),
        urgency=Urgency.NORMAL,
        respond_by=date(2026, 12, 1),
    )


@contextmanager
def _gateway(bench: Bench, services: Services, ports: Mapping[str, int]) -> Iterator[None]:
    """A gateway that sends each of these partners' events to a port; they are gone at the end."""
    onboarding = Onboarding(
        bench.kafka,
        Secrets(bench.home / "secrets"),
        bench.home,
        told={},
        others={},
        quota=PlatformSettings().partner_quota,
    )
    services.start(())
    _take(step for id_ in ports for step in onboarding.adding(id_))
    services.webhook_hosts = {id_: [f"localhost:{port}"] for id_, port in ports.items()}
    services.gateway.start()
    try:
        for id_, port in ports.items():
            _send_to(f"{services.gateway_url}/v1/partners/{id_}/webhook", port, services.token_of(id_))
        yield
    finally:
        services.stop()
        _take(step for id_ in ports for step in onboarding.removing(id_))


def _send_to(webhook: str, port: int, token: str) -> None:
    """Once the gateway lets the partner in."""
    until = time.monotonic() + _SECONDS
    while True:
        answer = httpx.put(
            webhook, json={"url": f"http://localhost:{port}/in"}, headers={"Authorization": f"Bearer {token}"}
        )
        if answer.is_success:
            return
        if time.monotonic() > until:
            raise TrialError(f"no webhook: {answer.status_code} {answer.text}")
        time.sleep(0.2)


def _take(steps: Iterable[Step]) -> None:
    for step in steps:
        step.do()
