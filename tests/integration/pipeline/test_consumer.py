"""The consumer: what is not handled comes again, what is handled is committed."""

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka.structs import ConsumerRecord
from toy.records import Written
from toy.trial import Trial, eventually

from shared.mongo import UnavailableError
from shared.pipeline.consumer import Consumption


class Handling:
    """A handler that fails as often as it is told to, and remembers the offsets it was given."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.handled: list[tuple[int, int]] = []

    async def __call__(self, records: Sequence[ConsumerRecord]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.handled += [(record.partition, record.offset) for record in records]


def consumption(trial: Trial, handle: Handling) -> Consumption:
    return Consumption(trial.kafka, f"^{trial.names.incoming}$", trial.names.service, handle, batch_records=100)


@pytest.mark.parametrize("failure", [UnavailableError("away"), RuntimeError("a bug of ours")])
async def test_the_first_batch_of_a_new_group_comes_again_when_it_fails(trial: Trial, failure: Exception) -> None:
    await trial.write(*(Written() for _ in range(20)))
    handle = Handling(failure)
    consumer = consumption(trial, handle)

    await consumer.start()
    try:
        await trial.write(*(Written() for _ in range(20)))
        await eventually(lambda: asyncio.sleep(0, len(set(handle.handled)) == 40), what="all 40", seconds=10)
    finally:
        await consumer.stop()
