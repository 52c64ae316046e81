"""(d) The ceiling: the same writes and sends by hand, with aiokafka and motor alone. A duplicate would end it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord
from pymongo import InsertOne, ReplaceOne

from benchmarks.trials.process import run
from benchmarks.trials.workload import IN, OUT, Hop, Stopwatch, codes_of, progressed
from shared import mongo
from shared.contracts.base import derived_id
from shared.contracts.intake import CaseOpened
from shared.memory import settle
from shared.pipeline.engine import utc_now
from shared.pipeline.outbox import BATCH_BYTES

_TYPE = "de.integrationsbuero.case.progressed.v1"


class Ceiling:
    """One consumer, one producer, one database."""

    def __init__(self, database: mongo.Database, producer: AIOKafkaProducer) -> None:
        self._database = database
        self._producer = producer

    async def handle(self, records: list[ConsumerRecord]) -> None:
        """Let a batch take effect."""
        now = utc_now()
        marks: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        states: dict[str, dict[str, Any]] = {}
        read = [(dict(record.headers), CaseOpened.model_validate_json(record.value)) for record in records]
        known = await self._known([case.case_id for _, case in read])
        versions = {id_: state["version"] for id_, state in known.items()}
        for headers, case in read:
            state = states.get(case.case_id) or known.get(case.case_id) or {"_id": case.case_id, "sequence": 0}
            state |= {"concerns": codes_of(case), "sequence": state["sequence"] + 1}
            states[case.case_id] = state
            marks.append({"_id": headers["ce_id"].decode(), "at": now})
            rows.append(self._row(case, headers, state["sequence"], now))
        await self._store(marks, states, versions, rows)
        source, time = b"/integrationsbuero/toy", now.isoformat(timespec="milliseconds").encode()
        acknowledgements = [
            await self._producer.send(
                OUT, row["data"].encode(), row["subject"].encode(), headers=_headers(row, source, time)
            )
            for row in rows
        ]
        await asyncio.gather(*acknowledgements)
        sent = {"$unset": {"unsent": ""}, "$set": {"sent_at": datetime.now(UTC)}}
        await self._database["outbox"].update_many({"_id": {"$in": [row["_id"] for row in rows]}}, sent)

    async def _known(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        documents = await self._database["cases"].find({"_id": {"$in": ids}}).to_list(None)
        return {document["_id"]: document for document in documents}

    @staticmethod
    def _row(case: CaseOpened, headers: dict[str, bytes], sequence: int, now: datetime) -> dict[str, Any]:
        cause = headers["ce_id"].decode()
        return {
            "_id": derived_id(cause, OUT, _TYPE, "0"),
            "stream": case.case_id,
            "sequence": sequence,
            "topic": OUT,
            "subject": case.case_id,
            "type": _TYPE,
            "time": now,
            "correlation_id": headers["ce_correlationid"].decode(),
            "causation_id": cause,
            "traceparent": headers["ce_traceparent"].decode(),
            "data": progressed(case, now).model_dump_json(),
            "unsent": True,
        }

    async def _store(
        self,
        marks: list[dict[str, Any]],
        states: dict[str, dict[str, Any]],
        versions: dict[str, int],
        rows: list[dict[str, Any]],
    ) -> None:
        operations = [
            ReplaceOne({"_id": id_, "version": versions[id_]}, {**state, "version": versions[id_] + 1})
            if id_ in versions
            else InsertOne({**state, "version": 1})
            for id_, state in states.items()
        ]
        async with await self._database.client.start_session() as session, session.start_transaction():
            await self._database["inbox"].insert_many(marks, ordered=False, session=session)
            await self._database["cases"].bulk_write(operations, ordered=False, session=session)
            await self._database["outbox"].insert_many(rows, ordered=False, session=session)


def _headers(row: dict[str, Any], source: bytes, time: bytes) -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", row["_id"].encode()),
        ("ce_source", source),
        ("ce_type", _TYPE.encode()),
        ("ce_subject", row["subject"].encode()),
        ("ce_time", time),
        ("ce_dataschema", b"urn:integrationsbuero:schema:" + _TYPE.encode()),
        ("content-type", b"application/json"),
        ("ce_sequence", str(row["sequence"]).encode()),
        ("ce_correlationid", row["correlation_id"].encode()),
        ("ce_causationid", row["causation_id"].encode()),
        ("ce_traceparent", row["traceparent"].encode()),
    ]


async def trial(hop: Hop) -> dict[str, float]:
    """The rate of the loop."""
    watch = Stopwatch()
    watch.watch()
    client = mongo.connect(hop.mongo)
    database = client[hop.name]
    for name in ("inbox", "cases", "outbox"):
        await database.create_collection(name)
    await database["inbox"].create_index("at", expireAfterSeconds=37 * 24 * 60 * 60)
    await database["outbox"].create_index([("stream", 1), ("sequence", 1)])
    await database["outbox"].create_index("time", partialFilterExpression={"unsent": True})
    producer = AIOKafkaProducer(**hop.kafka.options, acks="all", linger_ms=2, max_batch_size=BATCH_BYTES)
    consumer = AIOKafkaConsumer(
        IN,
        **hop.kafka.options,
        group_id=hop.name,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await producer.start()
    settle()
    await consumer.start()
    ceiling, handled = Ceiling(database, producer), 0
    while handled < hop.records:
        found = await consumer.getmany(timeout_ms=1000, max_records=hop.batch_records)
        records = [record for part in found.values() for record in part]
        if records:
            await ceiling.handle(records)
            await consumer.commit()
            handled += len(records)
    watch.stop()
    await consumer.stop()
    await producer.stop()
    await client.drop_database(hop.name)
    return watch.result(hop.records)


if __name__ == "__main__":
    run(trial, Hop)
