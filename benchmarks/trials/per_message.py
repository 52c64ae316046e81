"""(b) A FastStream handler a message with a transaction each: inbox, state, outbox; then publish, then mark as sent."""

from datetime import UTC, datetime
from typing import Any

from faststream import AckPolicy
from faststream.kafka import KafkaMessage
from motor.motor_asyncio import AsyncIOMotorClient

from benchmarks.trials.process import run
from benchmarks.trials.workload import IN, OUT, Hop, Stopwatch, broker_of, codes_of, progressed
from shared.contracts.base import derived_id
from shared.contracts.intake import CaseOpened
from shared.pipeline.engine import utc_now


async def trial(hop: Hop) -> dict[str, float]:
    """The rate of the same effect, exactly once, record by record."""
    watch = Stopwatch()
    watch.watch()
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        hop.mongo, w="majority", journal=True, tz_aware=True
    )
    database = client[hop.name]
    for name in ("inbox", "cases", "outbox"):
        await database.create_collection(name)
    broker = broker_of(hop.kafka)
    handled = 0

    @broker.subscriber(IN, group_id=hop.name, auto_offset_reset="earliest", ack_policy=AckPolicy.ACK)
    async def on_case_opened(case: CaseOpened, message: KafkaMessage) -> None:
        nonlocal handled
        now = utc_now()
        cause = message.headers["ce_id"]
        event = progressed(case, now)
        row: dict[str, Any] = {
            "_id": derived_id(cause, OUT),
            "subject": case.case_id,
            "data": event.model_dump_json(),
            "unsent": True,
        }
        async with await client.start_session() as session, session.start_transaction():
            await database["inbox"].insert_one({"_id": f"{IN}/{cause}", "at": now}, session=session)
            state = {"_id": case.case_id, "version": 1, "concerns": codes_of(case)}
            await database["cases"].insert_one(state, session=session)
            await database["outbox"].insert_one(row, session=session)
        await broker.publish(event, OUT, key=case.case_id.encode(), headers={"ce_id": row["_id"]})
        sent = {"$unset": {"unsent": ""}, "$set": {"sent_at": datetime.now(UTC)}}
        await database["outbox"].update_one({"_id": row["_id"]}, sent)
        handled += 1
        if handled == hop.records:
            watch.stop()

    await broker.start()
    await watch.done.wait()
    await broker.stop()
    await client.drop_database(hop.name)
    return watch.result(hop.records)


if __name__ == "__main__":
    run(trial, Hop)
