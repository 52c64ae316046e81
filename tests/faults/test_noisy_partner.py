"""One partner floods its replies or holds its groups for ever, and the others' referrals go on as before."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import Producer
from faults.instances import instances_of_routing
from routed import BETA_HANDS_ON, Routed, a_letter, an_agreement, queue_of, routed
from toy.trial import eventually

from deploy.backends import Backends
from deploy.onboarding import Onboarding
from deploy.principals import librdkafka
from deploy.quotas import Quota
from deploy.secrets import Secrets
from shared.contracts.base import new_id
from shared.contracts.codes import ReferralState
from shared.contracts.partners import ReplyAccepted
from shared.kafka_access import KafkaAccess
from shared.topics import partner_topics
from wegweiser.addresses import Bus

OFFERED, ACCEPTED = ReferralState.OFFERED, ReferralState.ACCEPTED
QUOTA: Final = Quota(32 * 1024, 1024 * 1024, 25)


@pytest.fixture
async def routing(backends: Backends, tmp_path: Path) -> AsyncIterator[Routed]:
    """With an instance of routing that runs meanwhile."""
    async with routed(backends, an_agreement()) as made, instances_of_routing(backends, tmp_path) as instances:
        await instances.start().ready(event="service_started")
        yield made


@pytest.fixture
async def alpha(backends: Backends, routing: Routed, tmp_path: Path) -> AsyncIterator[KafkaAccess]:
    """The partner alpha as it was let in; beta and gamma are the others."""
    if not backends.servers:
        pytest.skip("BACKEND=external: users and quotas are not ours")
    onboarding = Onboarding(backends.kafka, Secrets(tmp_path), tmp_path, told={}, others={}, quota=QUOTA)
    await asyncio.to_thread(lambda: [step.do() for step in onboarding.adding("alpha")])
    yield Bus(_env_file=onboarding.credentials("alpha"))
    await asyncio.to_thread(lambda: [step.do() for step in onboarding.removing("alpha")])


def a_reply() -> Mapping[str, Any]:
    """About a referral that is nobody's."""
    letter = a_letter("partner", ReplyAccepted(referral_id=new_id()), "alpha")
    return {"value": letter.value, "key": letter.key, "headers": list(letter.headers)}


def nothing() -> Mapping[str, Any]:
    """A record with nothing in it, of which thousands pack into a few bytes."""
    return {"value": b""}


PACKED: Final = {
    "compression.type": "zstd",
    "linger.ms": 1000,
    "sticky.partitioning.linger.ms": 1000,
    "batch.num.messages": 20_000,
}


@contextmanager
def flooding(access: KafkaAccess, make: Callable[[], Mapping[str, Any]], **options: Any) -> Iterator[list[Any]]:
    """It writes without end; what is given tells of each time it was slowed down."""
    slowed: list[Any] = []
    enough = Event()
    producer = Producer({**librdkafka(access), **options, "throttle_cb": slowed.append})
    _, replies = partner_topics("alpha")

    def write() -> None:
        while not enough.is_set():
            try:
                producer.produce(replies.name, **make())
                producer.poll(0)
            except BufferError:
                producer.poll(0.1)

    flood = Thread(target=write)
    flood.start()
    try:
        yield slowed
    finally:
        enough.set()
        flood.join()
        producer.purge()
        producer.flush()


async def beta_takes(routing: Routed, number: int) -> None:
    """So many cases are offered to beta, and its answers count."""
    ids = await routing.open_cases(number, BETA_HANDS_ON)
    cases = await eventually(lambda: routing.all_stand(ids, OFFERED), what="the offers", seconds=10)
    await routing.reply("beta", *(ReplyAccepted(referral_id=case.referrals[0].id) for case in cases))
    await eventually(lambda: routing.all_stand(ids, ACCEPTED), what="the effect of the replies", seconds=10)


@pytest.mark.parametrize(("make", "options"), [(a_reply, {}), (nothing, PACKED)], ids=["plain", "packed"])
async def test_others_go_on_while_a_partner_floods_its_replies(
    routing: Routed, alpha: KafkaAccess, make: Callable[[], Mapping[str, Any]], options: Mapping[str, Any]
) -> None:
    with flooding(alpha, make, **options) as slowed:
        await eventually(lambda: _is_true(slowed), what="the quota")
        before = len(slowed)
        for _ in range(3):
            await beta_takes(routing, 50)
        await eventually(lambda: _is_true(slowed[before:]), what="the end of its patience")


async def test_others_go_on_while_a_partner_holds_its_groups_for_ever(routing: Routed, alpha: KafkaAccess) -> None:
    """It belongs to them, has the partitions, and never reads."""
    holding = [AIOKafkaConsumer(queue_of("alpha"), **alpha.options, group_id=f"alpha.{name}") for name in ("a", "b")]
    try:
        for consumer in holding:
            await consumer.start()
        assert all(consumer.assignment() for consumer in holding)

        await beta_takes(routing, 50)
    finally:
        for consumer in holding:
            await consumer.stop()


async def _is_true(value: Any) -> bool:
    return bool(value)
