"""What a partner does on Kafka, and whether it is let."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from shared.kafka_access import KafkaAccess
from shared.topics import partner_topics


async def takes_part(access: KafkaAccess, id_: str) -> bool:
    """Whether somebody can read that partner's queue and write its replies."""
    queue, replies = partner_topics(id_)
    producer = AIOKafkaProducer(**access.options, request_timeout_ms=5000)
    consumer = AIOKafkaConsumer(queue.name, **access.options, group_id=f"{id_}.test")
    try:
        await producer.start()
        await producer.send_and_wait(replies.name, b"{}")
        await consumer.start()
        await consumer.getmany(timeout_ms=100)
    except KafkaError:
        return False
    finally:
        await producer.stop()
        await consumer.stop()
    return True


async def takes_no_part(access: KafkaAccess, id_: str) -> bool:
    return not await takes_part(access, id_)


async def commit(access: KafkaAccess, id_: str, names: list[str]) -> None:
    """As a partner that belongs to none of these groups may."""
    partition = TopicPartition(partner_topics(id_)[0].name, 0)
    for name in names:
        async with AIOKafkaConsumer(**access.options, group_id=f"{id_}.{name}", enable_auto_commit=False) as consumer:
            consumer.assign([partition])
            await consumer.commit({partition: OffsetAndMetadata(1, "")})
