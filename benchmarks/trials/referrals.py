"""Writes cases of one referral each and waits until every person was told of the appointment."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from benchmarks.trials.process import Assignment, run
from benchmarks.trials.workload import IN, a_case
from shared import mongo
from shared.contracts.codes import Concern
from shared.contracts.intake import CaseOpened
from shared.contracts.notify import TOPIC as MESSAGES
from shared.envelope import Cause, headers_of, source_of
from shared.pipeline.engine import utc_now
from shared.pipeline.outbox import BATCH_BYTES, row_of
from shared.topics import PARTITIONS

_EACH_ANOTHER_PARTNER: Final = (Concern.GERMAN_COURSE, Concern.DEBT, Concern.JOB_SEARCH)
_PATIENCE: Final = 300.0
_QUIET_SECONDS: Final = 1.5
"""Longer than it takes from one message to the next, however late."""


class Load(Assignment):
    """How many cases."""

    cases: int


async def trial(load: Load) -> dict[str, Any]:
    """Cases a second from the first record written to the last message settled."""
    cases = [a_case(code=_EACH_ANOTHER_PARTNER[number % 3]) for number in range(load.cases)]
    client = mongo.connect(load.mongo)
    await client["intake"]["persons"].insert_many([_person(case) for case in cases], ordered=False)
    own = {"_id": {"$in": [case.case_id for case in cases]}, "messages.state": "sent"}
    records = _records(cases)
    producer = AIOKafkaProducer(**load.kafka.options, acks="all", linger_ms=5, max_batch_size=BATCH_BYTES)
    await producer.start()
    messages = AIOKafkaConsumer(**load.kafka.options)
    await messages.start()
    settled_before = await _at_rest(messages)
    began = time.perf_counter()
    for key, value, headers in records:
        await producer.send(IN, value, key, headers=headers)
    await producer.flush()
    written = time.perf_counter() - began
    while (
        settled := await _settled(messages) - settled_before  # which costs nothing, and others' may be among them
    ) < load.cases or await client["notify"]["cases"].count_documents(own) < load.cases:
        if time.perf_counter() - began > _PATIENCE:
            raise TimeoutError(f"{settled} of {load.cases} messages after {_PATIENCE:.0f} s")
        await asyncio.sleep(0.1)
    seconds = time.perf_counter() - began
    await messages.stop()
    await producer.stop()
    return {"rate": load.cases / seconds, "written": load.cases / written}


def _records(cases: Sequence[CaseOpened]) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    source, now = source_of("intake"), utc_now()
    rows = [row_of(case, Cause.begin(), 0, None, 1, now) for case in cases]
    return [(row["subject"].encode(), row["data"].encode(), headers_of(row, source)) for row in rows]


def _person(case: CaseOpened) -> dict[str, Any]:
    """A record of the vault."""
    return {
        "_id": case.person_id,
        "case_id": case.case_id,
        "identity": {"given_name": "Olena", "family_name": "Kovalenko", "birth_year": 1985, "nationality": "UA"},
        "household": {"relation": "self"},
        "contact": {"email": "olena@example.org", "phone": None, "address": None, "may_contact_by": ["email"]},
        "languages": {"first": "uk", "reads": "uk", "also": ["en"], "variety": None, "german_level": "A1"},
        "notes": {"concerns": {}, "free_text": None},
    }


async def _settled(consumer: AIOKafkaConsumer) -> int:
    ends = await consumer.end_offsets([TopicPartition(MESSAGES, number) for number in range(PARTITIONS)])
    return sum(ends.values())


async def _at_rest(consumer: AIOKafkaConsumer) -> int:
    """How many are settled once those of an earlier trial are, too."""
    before, now = -1, await _settled(consumer)
    while now != before:
        await asyncio.sleep(_QUIET_SECONDS)
        before, now = now, await _settled(consumer)
    return now


if __name__ == "__main__":
    run(trial, Load)
