"""Everything that was ever written on the bus."""

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord

from shared.kafka_access import KafkaAccess
from shared.pipeline import wire


async def every_record(access: KafkaAccess) -> list[ConsumerRecord]:
    """All records of all topics, up to the ends as they are when it starts; also what no client could read."""
    wire.install()
    consumer = AIOKafkaConsumer(**access.options, auto_offset_reset="earliest")
    await consumer.start()
    try:
        topics = [topic for topic in await consumer.topics() if not topic.startswith("__")]
        consumer.subscribe(topics)
        while not (partitions := consumer.assignment()):
            await consumer.getmany(timeout_ms=100)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning()
        found: list[ConsumerRecord] = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            batches = await consumer.getmany(timeout_ms=200)
            found += [record for records in batches.values() for record in records]
        return found
    finally:
        await consumer.stop()
