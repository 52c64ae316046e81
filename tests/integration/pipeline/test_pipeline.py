"""A whole instance: what it says when it starts, and what it tells while one of its topics cannot be written."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from toy.records import Written
from toy.service import TELLS_TWO
from toy.trial import Trial, delete_topics, eventually, running

from deploy.backends import Backends


@pytest.mark.parametrize(("seconds", "said"), [(10, []), (11, [11])])
async def test_an_instance_says_that_a_killed_one_would_keep_it_waiting(
    trial: Trial, breakable: Backends, logged: list[MutableMapping[str, Any]], seconds: int, said: list[int]
) -> None:
    async def limit(to: int) -> None:
        await trial.client.admin.command({"setParameter": 1, "transactionLifetimeLimitSeconds": to})

    await limit(seconds)
    try:
        async with running(trial.pipeline()):
            pass
    finally:
        await limit(10)

    warnings = [line for line in logged if line["event"] == "slow_take_over"]
    assert [warning["transaction_lifetime_limit_seconds"] for warning in warnings] == said


async def test_an_unwritable_topic_slows_down_nothing_else_of_a_running_instance(trial: Trial) -> None:
    """Waiting a second for the missing topic at each event would take more than twice the time given."""
    await delete_topics(trial.kafka, trial.names, only={trial.names.second_outgoing})

    async with running(trial.pipeline()), asyncio.timeout(15):
        for _ in range(40):
            event = Written(behaviour=TELLS_TWO)
            await trial.write(event)
            await eventually(lambda cause=event.id: told(trial, cause), what="the row of the other topic", every=0.02)

    assert await trial.unsent() == 40
    assert {row["topic"] for row in await trial.rows(unsent=True)} == {trial.names.second_outgoing}


async def told(trial: Trial, cause: str) -> bool:
    return bool(await trial.rows(causation_id=cause, topic=trial.names.outgoing, sent_at={"$exists": True}))
