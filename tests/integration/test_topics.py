"""Topics as the broker keeps them."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from toy.trial import eventually

from deploy.backends import Backends
from shared.topics import Topic, provision

DAY_MS = 24 * 60 * 60 * 1000
OF_THE_TOPIC = 1
"""What was said for the topic itself; other brokers have other defaults (Kafka protocol, DescribeConfigs)."""


@pytest.fixture
async def admin(backends: Backends) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(**backends.kafka.options)
    await client.start()
    yield client
    await client.close()


async def test_no_record_outlasts_thirty_days_and_no_writer_s_clock_counts(
    backends: Backends, admin: AIOKafkaAdminClient
) -> None:
    """The broker drops whole segments: a record may outlast the retention by the length of one."""
    name = f"kept-{uuid4()}"

    async def own_settings() -> dict[str, str]:
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        [(_, _, _, _, entries)] = answer.resources
        return {name: value for name, value, _, source, *_ in entries if source == OF_THE_TOPIC}

    await provision(backends.kafka, [Topic(name, partitions=3)])
    kept = await eventually(own_settings, what="the broker's own knowledge of a topic it just made")
    [topic] = await admin.describe_topics([name])
    await admin.delete_topics([name])

    assert int(kept["retention.ms"]) + int(kept["segment.ms"]) == 30 * DAY_MS
    assert int(kept["segment.ms"]) == DAY_MS
    assert kept["message.timestamp.type"] == "LogAppendTime"
    assert len(topic["partitions"]) == 3
