"""Questions to Kafka about topics, consumer groups and positions, with the rights of whoever asks."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from shared.kafka_access import KafkaAccess
from shared.kafka_consumer import Consumer

_PATIENCE_MS = 10_000
_STATES_WITHOUT_MEMBERS = ("Empty", "Dead")


class Cluster:
    """A connection that asks about groups without being a member of any."""

    def __init__(self, admin: AIOKafkaAdminClient, consumer: Consumer) -> None:
        self._admin = admin
        self._consumer = consumer

    async def groups(self) -> set[str]:
        """Every consumer group the brokers know, also those without members."""
        return {name for name, *_ in await self._admin.list_consumer_groups()}

    async def is_active(self, group: str) -> bool:
        """Whether the group has members now."""
        [answer] = await self._admin.describe_consumer_groups([group])
        [(_, _, state, *_)] = answer.groups
        return state not in _STATES_WITHOUT_MEMBERS

    async def topics(self) -> list[str]:
        """The names of all topics."""
        return sorted(await self._admin.list_topics())

    async def partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        """The partitions of these topics, in order."""
        names = sorted(topics)
        described = await self._admin.describe_topics(names) if names else []  # asked for none, it describes all
        found = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            for partition in topic["partitions"]
        ]
        return sorted(found)

    async def committed(self, group: str) -> dict[TopicPartition, int]:
        """Where the group stands, for the partitions it ever committed."""
        offsets = await self._admin.list_consumer_group_offsets(group)
        return {partition: where.offset for partition, where in offsets.items() if where.offset >= 0}

    async def beginnings(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The oldest offset that is kept."""
        return dict(await self._consumer.beginning_offsets(partitions))

    async def ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset the next record will have."""
        return dict(await self._consumer.end_offsets(partitions))

    async def first_since(self, partitions: Sequence[TopicPartition], milliseconds: int) -> dict[TopicPartition, int]:
        """The first offset whose record is not older than this moment (since 1970, UTC), else the end."""
        found = await self._consumer.offsets_for_times(dict.fromkeys(partitions, milliseconds))
        ends = await self.ends(partitions)
        return {
            partition: ends[partition] if where is None or where.offset < 0 else where.offset
            for partition, where in found.items()
        }


@asynccontextmanager
async def cluster(access: KafkaAccess) -> AsyncIterator[Cluster]:
    """Connect; raises `KafkaError` where nobody answers."""
    admin = AIOKafkaAdminClient(**access.options, request_timeout_ms=_PATIENCE_MS)
    # Asked about offsets, the client learns of one topic at a time and waits so long before the next.
    consumer = Consumer(**access.options, request_timeout_ms=_PATIENCE_MS, retry_backoff_ms=10)
    try:
        await admin.start()
        await consumer.start()
        yield Cluster(admin, consumer)
    finally:
        await consumer.stop()
        await admin.close()
