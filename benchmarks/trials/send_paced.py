"""Sends records at a pace and notes when each was handed to the client."""

import time
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.trials.pace import at_pace
from benchmarks.trials.process import Assignment, run
from benchmarks.trials.workload import a_case
from shared.contracts.base import new_id


class Pace(Assignment):
    """Where to, how many, and for how long."""

    topic: str
    per_second: int
    seconds: int


async def trial(pace: Pace) -> dict[str, Any]:
    """By key: the monotonic time in seconds at which it was sent."""
    producer = AIOKafkaProducer(**pace.kafka.options, acks="all")
    value = a_case().model_dump_json(exclude={"case_id"}).encode()
    sent: dict[str, float] = {}

    async def send_one() -> None:
        key = new_id()
        sent[key] = time.monotonic()
        await producer.send_and_wait(pace.topic, value, key.encode())

    await producer.start()
    await producer.partitions_for(pace.topic)
    await at_pace(pace.per_second, pace.seconds, send_one)
    await producer.stop()
    return sent


if __name__ == "__main__":
    run(trial, Pace)
