"""Kafka and MongoDB as the platform starts them: transactions work, and what was written survives a crash."""

from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import UnknownTopicOrPartitionError
from pymongo import MongoClient

from deploy.backends import Backends
from shared.topics import Topic, provision


async def write(backends: Backends, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=backends.kafka, acks="all") as producer:
        await producer.send_and_wait(topic, value, key=b"key")


async def read(backends: Backends, topic: str, group: str) -> list[bytes]:
    """What the group has not read yet; it commits what it gets."""
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=backends.kafka, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    ) as consumer:
        found: dict[Any, list[Any]] = await consumer.getmany(timeout_ms=10_000)
        await consumer.commit()
    return [record.value for records in found.values() for record in records]


def in_a_transaction(backends: Backends, collection: str, document: dict[str, Any]) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(backends.mongo, w="majority", journal=True)
    with client, client.start_session() as session, session.start_transaction():
        client.test[collection].insert_one(document, session=session)


def stored(backends: Backends, collection: str) -> list[dict[str, Any]]:
    client: MongoClient[dict[str, Any]] = MongoClient(backends.mongo)
    with client:
        return list(client.test[collection].find())


async def test_a_record_and_a_transaction_survive_the_kill_of_both_servers(breakable: Backends) -> None:
    name = f"survival-{uuid4()}"
    await provision(breakable.kafka, [Topic(name, partitions=1)])
    await write(breakable, name, b"before the first reading")
    assert await read(breakable, name, group=name) == [b"before the first reading"]
    await write(breakable, name, b"before the crash")
    in_a_transaction(breakable, name, {"_id": 1})

    for server in breakable.servers:
        server.kill()
    breakable.start()

    assert await read(breakable, name, group=name) == [b"before the crash"]
    assert stored(breakable, name) == [{"_id": 1}]
    await write(breakable, name, b"after the crash")
    assert await read(breakable, name, group=name) == [b"after the crash"]


async def test_a_restart_keeps_data_and_addresses(breakable: Backends) -> None:
    name = f"restart-{uuid4()}"
    await provision(breakable.kafka, [Topic(name, partitions=1)])
    await write(breakable, name, b"value")
    in_a_transaction(breakable, name, {"_id": 1})

    for server in breakable.servers:
        server.restart()

    assert await read(breakable, name, group=name) == [b"value"]
    assert stored(breakable, name) == [{"_id": 1}]


async def test_a_topic_nobody_provisioned_is_not_made_by_a_writer(backends: Backends) -> None:
    async with AIOKafkaProducer(bootstrap_servers=backends.kafka, request_timeout_ms=2000) as producer:
        with pytest.raises(UnknownTopicOrPartitionError):
            await producer.partitions_for("nobody.provisioned.this")


def test_a_transaction_whose_owner_died_blocks_ten_seconds_at_most(breakable: Backends) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(breakable.mongo)
    with client:
        answer = client.admin.command({"getParameter": 1, "transactionLifetimeLimitSeconds": 1})
    assert answer["transactionLifetimeLimitSeconds"] == 10
