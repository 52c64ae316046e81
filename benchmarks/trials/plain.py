"""(a) A FastStream handler a message: a state, an event out, no guarantee."""

from typing import Any

from faststream import AckPolicy
from motor.motor_asyncio import AsyncIOMotorClient

from benchmarks.trials.process import run
from benchmarks.trials.workload import IN, OUT, Hop, Stopwatch, broker_of, codes_of, progressed
from shared.contracts.intake import CaseOpened
from shared.pipeline.engine import utc_now


async def trial(hop: Hop) -> dict[str, float]:
    """The rate of the handler that a tutorial would write."""
    watch = Stopwatch()
    watch.watch()
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(hop.mongo, tz_aware=True)
    cases = client[hop.name]["cases"]
    broker = broker_of(hop.kafka)
    handled = 0

    @broker.subscriber(IN, group_id=hop.name, auto_offset_reset="earliest", ack_policy=AckPolicy.ACK)
    async def on_case_opened(case: CaseOpened) -> None:
        nonlocal handled
        await cases.insert_one({"_id": case.case_id, "version": 1, "concerns": codes_of(case)})
        await broker.publish(progressed(case, utc_now()), OUT, key=case.case_id.encode())
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
