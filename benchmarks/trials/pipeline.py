"""(c) The platform's pipeline with a toy service on it."""

import asyncio
import re
import sys
from datetime import datetime

from benchmarks.trials.process import run
from benchmarks.trials.workload import IN, Hop, Stopwatch, codes_of, progressed
from shared import logs, mongo
from shared.contracts.intake import CaseOpened
from shared.memory import settle
from shared.metrics import BATCH_RECORDS
from shared.pipeline.decisions import Aggregate, Decision, Reaction, Received
from shared.pipeline.pipeline import Pipeline
from shared.pipeline.reading import Subscription
from shared.pipeline.states import MongoStates
from shared.settings import ServiceSettings


class ToyCase(Aggregate):
    """What the toy service knows of a case."""

    concerns: tuple[str, ...] = ()


def on_case_opened(received: Received[CaseOpened], known: ToyCase | None, now: datetime) -> Decision[ToyCase]:
    """Keep the concerns and tell of them."""
    case = received.event
    state = (known or ToyCase(id=case.case_id)).model_copy(update={"concerns": codes_of(case)})
    return Decision(state, (progressed(case, now),))


def _handled() -> float:
    """Records whose offsets are committed."""
    [metric] = BATCH_RECORDS.collect()
    return next(sample.value for sample in metric.samples if sample.name.endswith("_sum"))


async def trial(hop: Hop) -> dict[str, float]:
    """The rate until the offsets of the last batch are committed and every event is marked as sent."""
    watch = Stopwatch()
    watch.watch()
    logs.configure("toy", "json", sys.stderr)
    client = mongo.connect(hop.mongo)
    database = client[hop.database or hop.name]
    pipeline = Pipeline(
        "toy",
        ServiceSettings(
            **dict(hop.kafka),
            mongo_url=hop.mongo,
            port=1,
            batch_records=hop.batch_records,
        ),
        database,
        MongoStates(database, "cases", ToyCase),
        [Reaction(CaseOpened, on_case_opened, key=lambda case: case.case_id)],
        [Subscription(f"^{re.escape(IN)}$", hop.name)],
        (),
    )
    settle()
    await pipeline.start()
    while _handled() < hop.records:
        await asyncio.sleep(0.01)
    while await database["outbox"].find_one({"unsent": True}, sort=[("time", 1)]):
        await asyncio.sleep(0.1)
    watch.stop()
    await pipeline.stop()
    if hop.database is None:
        await client.drop_database(hop.name)
    return watch.result(hop.records)


if __name__ == "__main__":
    run(trial, Hop)
