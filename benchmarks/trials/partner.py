"""Stands for all partners: accepts whatever is offered, as fast as one process can."""

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from benchmarks.trials.process import Assignment, run, say_ready, until_told
from shared.contracts.base import new_id
from shared.envelope import source_of_partner
from shared.pipeline.outbox import BATCH_BYTES
from shared.topics import REFERRALS, owner_of

_OFFERED: Final = b"de.integrationsbuero.referral.offered.v1"
_ACCEPTED: Final = b"de.integrationsbuero.reply.accepted.v1"


async def trial(assignment: Assignment) -> dict[str, Any]:
    """Answer until told to stop."""
    consumer = AIOKafkaConsumer(
        **assignment.kafka.options,
        group_id="bench-partner",
        auto_offset_reset="latest",
        metadata_max_age_ms=3000,
    )
    consumer.subscribe(pattern=REFERRALS)
    producer = AIOKafkaProducer(**assignment.kafka.options, acks="all", linger_ms=2, max_batch_size=BATCH_BYTES)
    await consumer.start()
    await producer.start()
    while not consumer.assignment():
        await asyncio.sleep(0.05)
    await asyncio.gather(*(consumer.position(partition) for partition in consumer.assignment()))
    say_ready()
    answering = asyncio.create_task(_answer(consumer, producer))
    await until_told()
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    await consumer.stop()
    await producer.stop()
    return {}


async def _answer(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
    while True:
        found = await consumer.getmany(timeout_ms=1000)
        for partition, records in found.items():
            topic = partition.topic.replace("referrals", "replies")
            source = source_of_partner(str(owner_of(topic))).encode()
            for record in records:
                if dict(record.headers)["ce_type"] == _OFFERED:
                    await producer.send(topic, _accepting(record), record.key, headers=_headers(record, source))


def _accepting(record: ConsumerRecord) -> bytes:
    return b'{"referral_id":"%s"}' % record.key


def _headers(record: ConsumerRecord, source: bytes) -> list[tuple[str, bytes]]:
    given = dict(record.headers)
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", new_id().encode()),
        ("ce_source", source),
        ("ce_type", _ACCEPTED),
        ("ce_subject", record.key),
        ("content-type", b"application/json"),
        ("ce_correlationid", given["ce_correlationid"]),
        ("ce_traceparent", given["ce_traceparent"]),
    ]


if __name__ == "__main__":
    run(trial, Assignment)
