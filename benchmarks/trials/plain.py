"""(a) A FastStream handler a message: a state, an event out, no guarantee."""

from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from motor.motor_asyncio import AsyncIOMotorClient

from benchmarks.trials.workload import OUT, Assignment, Stopwatch, codes_of, progressed, run
from shared.contracts.intake import CaseOpened
from shared.pipeline.engine import utc_now


async def trial(assignment: Assignment) -> dict[str, float]:
    """The rate of the handler that a tutorial would write."""
    watch = Stopwatch()
    watch.watch()
    client = AsyncIOMotorClient(assignment.mongo, tz_aware=True)
    cases = client[assignment.database]["cases"]
    broker = KafkaBroker(assignment.kafka, acks="all", enable_idempotence=True, logger=None)
    handled = 0

    @broker.subscriber(
        assignment.topic, group_id=assignment.group, auto_offset_reset="earliest", ack_policy=AckPolicy.ACK
    )
    async def on_case_opened(case: CaseOpened) -> None:
        nonlocal handled
        await cases.insert_one({"_id": case.case_id, "version": 1, "concerns": codes_of(case)})
        await broker.publish(progressed(case, utc_now()), OUT, key=case.case_id.encode())
        handled += 1
        if handled == assignment.records:
            watch.stop()

    await broker.start()
    await watch.done.wait()
    await broker.stop()
    await client.drop_database(assignment.database)
    return watch.result(assignment.records)


if __name__ == "__main__":
    run(trial)
