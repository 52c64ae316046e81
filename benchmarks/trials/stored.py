"""Fills a database as the toy service would have left it after so many cases."""

from datetime import timedelta
from typing import Any

from benchmarks.trials.process import Assignment, run
from benchmarks.trials.workload import OUT, a_case, progressed
from shared import mongo
from shared.contracts.base import derived_id
from shared.envelope import Cause
from shared.pipeline.engine import utc_now
from shared.pipeline.outbox import row_of

_AT_ONCE = 5_000


class Stock(Assignment):
    """Store every `step`-th of so many numbered cases."""

    name: str
    cases: int
    step: int


def stored_id(number: int) -> str:
    """The id of the stored case of that number."""
    return derived_id("stored", str(number))


async def trial(stock: Stock) -> dict[str, Any]:
    """A state, a mark and a sent event a case, a day old."""
    client = mongo.connect(stock.mongo)
    database = client[stock.name]
    now = utc_now() - timedelta(days=1)
    numbers = range(0, stock.cases, stock.step)
    for first in range(0, len(numbers), _AT_ONCE):
        states, marks, rows = [], [], []
        for number in numbers[first : first + _AT_ONCE]:
            case = a_case(stored_id(number))
            cause = Cause.begin()
            row = row_of(progressed(case, now), cause, 0, case.case_id, 1, now)
            del row["unsent"]
            rows.append({**row, "sent_at": now})
            marks.append({"_id": f"{OUT}/{cause.id}", "at": now})
            states.append({"_id": case.case_id, "version": 1, "sequence": 1, "concerns": ["german_course"]})
        for collection, documents in (("cases", states), ("inbox", marks), ("outbox", rows)):
            await database[collection].insert_many(documents, ordered=False)
    return {"stored": len(numbers)}


if __name__ == "__main__":
    run(trial, Stock)
