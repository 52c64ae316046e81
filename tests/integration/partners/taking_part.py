"""Whether Kafka lets somebody do what a partner does."""

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

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
