"""(c) The platform's pipeline with a toy service on it."""

import asyncio
import io
import re
from datetime import datetime

from prometheus_client import REGISTRY

from benchmarks.trials.workload import Assignment, Stopwatch, codes_of, progressed, run
from shared import logs, mongo
from shared.contracts.intake import CaseOpened
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


async def trial(assignment: Assignment) -> dict[str, float]:
    """The rate until the offsets of the last batch are committed."""
    watch = Stopwatch()
    watch.watch()
    logs.configure("toy", "json", io.StringIO())
    client = mongo.connect(assignment.mongo)
    database = client[assignment.database]
    pipeline = Pipeline(
        "toy",
        ServiceSettings(
            kafka_bootstrap=assignment.kafka,
            mongo_url=assignment.mongo,
            port=1,
            batch_records=assignment.batch_records,
        ),
        database,
        MongoStates(database, "cases", ToyCase),
        [Reaction(CaseOpened, on_case_opened, key=lambda case: case.case_id)],
        [Subscription(f"^{re.escape(assignment.topic)}$", assignment.group)],
        (),
    )
    await pipeline.start()
    while (REGISTRY.get_sample_value("wegweiser_batch_records_sum") or 0) < assignment.records:
        await asyncio.sleep(0.005)
    watch.stop()
    await pipeline.stop()
    unsent = await database["outbox"].count_documents({"unsent": True})
    if unsent:
        raise RuntimeError(f"{unsent} events were not sent")
    if not assignment.keep_database:
        await client.drop_database(assignment.database)
    return watch.result(assignment.records)


if __name__ == "__main__":
    run(trial)
