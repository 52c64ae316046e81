"""Reads topics and notes when it first saw each subject."""

import asyncio
import json
import time
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import ConsumerRecord

from benchmarks.trials.process import Assignment, run, say_ready, until_told
from shared.contracts.base import new_id

_LINGER: Final = 2.0
"""Seconds to read on after being told to stop: the last records are on their way."""


class Watch(Assignment):
    """Which topics."""

    pattern: str


async def trial(watch: Watch) -> dict[str, Any]:
    """By case id where the payload has one, else by key: the monotonic time in seconds."""
    consumer = AIOKafkaConsumer(
        **watch.kafka.options,
        group_id=f"bench-{new_id()}",
        auto_offset_reset="latest",
        metadata_max_age_ms=3000,
    )
    consumer.subscribe(pattern=watch.pattern)
    await consumer.start()
    while not consumer.assignment():
        await asyncio.sleep(0.05)
    await asyncio.gather(*(consumer.position(partition) for partition in consumer.assignment()))
    say_ready()
    seen: dict[str, float] = {}
    reading = asyncio.create_task(_read(consumer, seen))
    await until_told()
    await asyncio.sleep(_LINGER)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await consumer.stop()
    return seen


async def _read(consumer: AIOKafkaConsumer, seen: dict[str, float]) -> None:
    async for record in consumer:
        now = time.monotonic()
        seen.setdefault(_name_of(record), now)


def _name_of(record: ConsumerRecord) -> str:
    name: str = json.loads(record.value).get("case_id") or record.key.decode()
    return name


if __name__ == "__main__":
    run(trial, Watch)
