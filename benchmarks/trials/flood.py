"""A partner that replies without end about referrals it does not have, as fast as the broker lets it."""

import asyncio
import time
from typing import Any, Final

from confluent_kafka import Producer

from benchmarks.trials.process import Assignment, run, say_ready, until_told
from deploy.principals import librdkafka
from shared.contracts.base import new_id
from shared.envelope import source_of_partner
from shared.topics import partner_topics

_PACKED: Final = {
    "compression.type": "zstd",
    "linger.ms": 1000,
    "sticky.partitioning.linger.ms": 1000,
    "batch.num.messages": 20_000,
    "queue.buffering.max.messages": 100_000,
}
"""Thousands of the same record in a few bytes: what a quota of bytes does not hold back."""


class Flood(Assignment):
    """Whose flood it is, and whether it is packed."""

    partner_id: str
    packed: bool


async def trial(flood: Flood) -> dict[str, Any]:
    """Replies a second that were taken, from the moment the quota held it back until it was told to stop."""
    _, replies = partner_topics(flood.partner_id)
    held_back = asyncio.Event()
    loop = asyncio.get_running_loop()
    taken = 0

    def note(error: Any, _: Any) -> None:
        nonlocal taken
        taken += error is None

    options = _PACKED if flood.packed else {"queue.buffering.max.messages": 2000}
    producer = Producer(
        {**librdkafka(flood.kafka), **options, "throttle_cb": lambda _: loop.call_soon_threadsafe(held_back.set)}
    )

    def write(stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                reply = {"value": b""} if flood.packed else _a_reply(flood.partner_id)
                producer.produce(replies.name, **reply, on_delivery=note)
                producer.poll(0)
            except BufferError:
                producer.poll(0.05)

    stop = asyncio.Event()
    writing = asyncio.create_task(asyncio.to_thread(write, stop))
    await held_back.wait()
    before, began = taken, time.monotonic()
    say_ready()
    await until_told()
    rate = (taken - before) / (time.monotonic() - began)
    stop.set()
    await writing
    producer.purge()
    await asyncio.to_thread(producer.flush)
    return {"rate": rate}


def _a_reply(partner_id: str) -> dict[str, Any]:
    referral_id = new_id()
    headers = {
        "ce_specversion": "1.0",
        "ce_id": new_id(),
        "ce_source": source_of_partner(partner_id),
        "ce_type": "de.integrationsbuero.reply.accepted.v1",
        "ce_subject": referral_id,
        "content-type": "application/json",
    }
    return {"key": referral_id, "value": f'{{"referral_id":"{referral_id}"}}', "headers": headers}


if __name__ == "__main__":
    run(trial, Flood)
