"""Where topics end, and where a consumer group begins."""

from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from shared.kafka_access import KafkaAccess
from shared.topics import PARTITIONS

Positions = Mapping[TopicPartition, int]


async def ends_of(kafka: KafkaAccess, topic: str) -> Positions:
    """The offsets that the next records of a topic will have."""
    consumer = AIOKafkaConsumer(**kafka.options)
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    await consumer.start()
    try:
        ends: Positions = await consumer.end_offsets(partitions)
        return ends
    finally:
        await consumer.stop()


async def begin_at(kafka: KafkaAccess, group: str, positions: Positions) -> None:
    """Put a group that has no members before these records."""
    consumer = AIOKafkaConsumer(**kafka.options, group_id=group, enable_auto_commit=False)
    consumer.assign(list(positions))
    await consumer.start()
    try:
        await consumer.commit(dict(positions))
    finally:
        await consumer.stop()
