"""What every Kafka and every MongoDB that the platform runs on must do, wherever they come from."""

from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import UnknownTopicOrPartitionError
from pymongo import MongoClient

from deploy.backends import Backends
from shared.topics import Topic, provision


class BackendContract:
    """Inherited by the tests of each kind of backend; `backends` and `breakable` come from their fixtures."""

    async def test_records_and_transactions_survive_the_kill_of_both_servers(self, breakable: Backends) -> None:
        name = await a_topic(breakable)
        await write(breakable, name, b"before the first reading")
        assert await read(breakable, name) == [b"before the first reading"]
        await write(breakable, name, b"before the crash")
        store_in_a_transaction(breakable, name, {"_id": 1})

        for server in breakable.servers:
            server.kill()
        breakable.start()

        assert await read(breakable, name) == [b"before the crash"]
        assert stored(breakable, name) == [{"_id": 1}]
        await write(breakable, name, b"after the crash")
        assert await read(breakable, name) == [b"after the crash"]

    async def test_a_restart_keeps_data_and_addresses(self, breakable: Backends) -> None:
        name = await a_topic(breakable)
        await write(breakable, name, b"value")
        store_in_a_transaction(breakable, name, {"_id": 1})

        for server in breakable.servers:
            server.restart()

        assert await read(breakable, name) == [b"value"]
        assert stored(breakable, name) == [{"_id": 1}]

    async def test_a_transaction_of_kafka_is_committed(self, backends: Backends) -> None:
        name = await a_topic(backends)
        async with (
            AIOKafkaProducer(**backends.kafka.options, transactional_id=name) as producer,
            producer.transaction(),
        ):
            await producer.send_and_wait(name, b"all or nothing")

        assert await read(backends, name) == [b"all or nothing"]

    async def test_a_writer_does_not_make_a_topic(self, breakable: Backends) -> None:
        async with AIOKafkaProducer(**breakable.kafka.options, request_timeout_ms=2000) as producer:
            with pytest.raises(UnknownTopicOrPartitionError):
                await producer.partitions_for(f"not-provisioned-{uuid4()}")

    def test_a_transaction_whose_owner_died_blocks_ten_seconds_at_most(self, breakable: Backends) -> None:
        client: MongoClient[dict[str, Any]] = MongoClient(breakable.mongo)
        with client:
            answer = client.admin.command({"getParameter": 1, "transactionLifetimeLimitSeconds": 1})
        assert answer["transactionLifetimeLimitSeconds"] == 10


async def a_topic(backends: Backends) -> str:
    """A new topic, whose name serves as consumer group and collection as well."""
    name = f"contract-{uuid4()}"
    await provision(backends.kafka, [Topic(name, partitions=1)])
    return name


async def write(backends: Backends, topic: str, value: bytes) -> None:
    """One record, acknowledged."""
    async with AIOKafkaProducer(**backends.kafka.options, acks="all") as producer:
        await producer.send_and_wait(topic, value, key=b"key")


async def read(backends: Backends, topic: str) -> list[bytes]:
    """What the group of that name has not read yet; it commits what it gets."""
    async with AIOKafkaConsumer(
        topic,
        **backends.kafka.options,
        group_id=topic,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    ) as consumer:
        record = await consumer.getone()
        more = await consumer.getmany()
        await consumer.commit()
    return [record.value, *(record.value for records in more.values() for record in records)]


def store_in_a_transaction(backends: Backends, collection: str, document: dict[str, Any]) -> None:
    """One document, durable when this returns."""
    client: MongoClient[dict[str, Any]] = MongoClient(backends.mongo, w="majority", journal=True)
    with client, client.start_session() as session, session.start_transaction():
        client.test[collection].insert_one(document, session=session)


def stored(backends: Backends, collection: str) -> list[dict[str, Any]]:
    """All documents of a collection."""
    client: MongoClient[dict[str, Any]] = MongoClient(backends.mongo)
    with client:
        return list(client.test[collection].find())
