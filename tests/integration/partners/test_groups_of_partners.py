"""A partner that makes consumer groups without end: the broker keeps little of each, and forgets the unused ones."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import OffsetMetadataTooLargeError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from deploy import groups
from deploy.backends import Backends
from deploy.groups import Groups
from deploy.onboarding import Onboarding
from deploy.quotas import Quota
from deploy.secrets import Secrets
from shared.cluster import cluster
from shared.kafka_access import KafkaAccess
from shared.topics import partner_topics, topics_of_partner
from wegweiser.addresses import Bus

Let = dict[str, KafkaAccess]


@pytest.fixture
async def partners(backends: Backends, tmp_path: Path) -> AsyncIterator[Let]:
    """Two that were let in; the name of one is how the other's begins."""
    if not backends.servers:
        pytest.skip("BACKEND=external: users and rights are not ours")
    quota = Quota(1024 * 1024, 4 * 1024 * 1024, 100)
    onboarding = Onboarding(backends.kafka, Secrets(tmp_path), tmp_path, told={}, others={}, quota=quota)
    first = f"p-{uuid4().hex[:8]}"
    ids = [first, f"{first}-b"]
    for id_ in ids:
        await asyncio.to_thread(lambda id_=id_: [step.do() for step in onboarding.adding(id_)])
    yield {id_: Bus(_env_file=onboarding.credentials(id_)) for id_ in ids}
    admin = AIOKafkaAdminClient(**backends.kafka.options)
    await admin.start()
    for id_ in ids:
        await asyncio.to_thread(lambda id_=id_: [step.do() for step in onboarding.removing(id_)])
        await admin.delete_topics([topic.name for topic in topics_of_partner(id_)])
    await admin.close()


async def commit(access: KafkaAccess, id_: str, names: list[str]) -> None:
    """As a partner that belongs to none of these groups may."""
    partition = TopicPartition(partner_topics(id_)[0].name, 0)
    for name in names:
        async with AIOKafkaConsumer(**access.options, group_id=f"{id_}.{name}", enable_auto_commit=False) as consumer:
            consumer.assign([partition])
            await consumer.commit({partition: OffsetAndMetadata(1, "")})


async def groups_of(backends: Backends, *ids: str) -> set[str]:
    async with cluster(backends.kafka) as kafka:
        return {name for name in await kafka.groups() if name.partition(".")[0] in ids}


async def test_groups_that_nobody_works_in_are_forgotten_where_there_are_too_many(
    partners: Let, backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    (noisy, access), (other, others_access) = partners.items()
    monkeypatch.setattr(groups.surplus, "__kwdefaults__", {"most": 5})
    await commit(others_access, other, ["a", "b"])
    topic = partner_topics(noisy)[0].name
    async with AIOKafkaConsumer(topic, **access.options, group_id=f"{noisy}.working") as consumer:
        await commit(access, noisy, [f"{number:03}" for number in range(20)])
        partition = TopicPartition(topic, 0)
        await consumer.commit({partition: OffsetAndMetadata(0, "")})

        forgotten = await asyncio.to_thread(Groups(backends.kafka).forget_surplus, partners)

        left = await groups_of(backends, noisy)
        assert left == {f"{noisy}.working", *(f"{noisy}.{number:03}" for number in range(4))}
        assert forgotten == {noisy: 16}
        assert await consumer.committed(partition) == 0
    assert await groups_of(backends, other) == {f"{other}.a", f"{other}.b"}


async def test_what_is_kept_beside_a_position_is_little(partners: Let) -> None:
    id_, access = next(iter(partners.items()))
    topic = partner_topics(id_)[0].name
    async with AIOKafkaConsumer(topic, **access.options, group_id=f"{id_}.wordy", enable_auto_commit=False) as consumer:
        partition = TopicPartition(topic, 0)
        await consumer.commit({partition: OffsetAndMetadata(1, "x" * 64)})
        with pytest.raises(OffsetMetadataTooLargeError):
            await consumer.commit({partition: OffsetAndMetadata(1, "x" * 65)})
