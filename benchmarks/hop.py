"""One hop: a record in; state, inbox mark and one event out as its effect."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from benchmarks.figures import Figure, beside, plain
from benchmarks.harness import Bench, name_of_trial
from benchmarks.positions import begin_at, ends_of
from benchmarks.trials.workload import IN, a_case, write_cases

RECORDS: Final = 20_000
SLOW_RECORDS: Final = 300
"""The handlers a message do 60 to 90 a second; they get the first of the same records."""

SUBJECTS: Final = {"plain": SLOW_RECORDS, "per_message": SLOW_RECORDS, "pipeline": RECORDS, "bare": RECORDS}


def measure(bench: Bench) -> Sequence[Figure]:
    """All four, in turn, on the same records."""
    positions = asyncio.run(ends_of(bench.kafka, IN))
    asyncio.run(write_cases(bench.kafka, (a_case() for _ in range(bench.scaled(RECORDS)))))
    rates: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    for _ in bench.rounds:
        for subject, records in SUBJECTS.items():
            name = name_of_trial()
            asyncio.run(begin_at(bench.kafka, name, positions))
            result = bench.run(subject, name=name, records=bench.scaled(records))
            rates[subject].append(result["rate"])
            cpu[subject].append(result["cpu_microseconds"])
    return [
        plain("hop (a): handler a message, no guarantee", rates["plain"], "records/s"),
        plain("hop (b): transaction a message", rates["per_message"], "records/s"),
        plain("hop (d): bare ceiling", rates["bare"], "records/s"),
        beside("hop (c): this pipeline, beside (b)", rates["pipeline"], "records/s", rates["per_message"], at_least=50),
        beside("hop (c): this pipeline, beside (d)", rates["pipeline"], "records/s", rates["bare"], at_least=0.7),
        beside("hop (c): CPU of the process, beside (d)", cpu["pipeline"], "us/record", cpu["bare"]),
    ]
