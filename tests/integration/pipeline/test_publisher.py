"""The publisher: order per topic and subject, no topic waits for another, nothing unsent is left behind."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import ConsumerRecord
from toy.service import told
from toy.trial import Trial, eventually, ids_of

from shared.contracts import Event
from shared.contracts.base import new_id
from shared.envelope import Cause
from shared.pipeline.outbox import OUTBOX, Publisher, Row, row_of


@asynccontextmanager
async def publishing(trial: Trial) -> AsyncIterator[Publisher]:
    """A publisher that runs meanwhile."""
    publisher = trial.publisher()
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.stop()


async def journal(trial: Trial, events: Sequence[Event], *, age: timedelta = timedelta()) -> list[Row]:
    """Rows that an engine would have left, numbered per case in the order given."""
    numbers: dict[str, int] = defaultdict(int)
    rows = []
    for event in events:
        case_id: str = event.case_id
        numbers[case_id] += 1
        rows.append(row_of(event, Cause.begin(), 0, case_id, numbers[case_id], datetime.now(UTC) - age))
    if rows:
        await trial.database[OUTBOX].insert_many(rows)
    return rows


def streams_of(rows: Sequence[Row]) -> set[str]:
    return {row["stream"] for row in rows}


def sequences(records: Sequence[ConsumerRecord]) -> dict[str, list[int]]:
    """The `ce_sequence`s of each subject, in the order of the topic."""
    found: dict[str, list[int]] = defaultdict(list)
    for record in records:
        headers = dict(record.headers)
        found[headers["ce_subject"].decode()].append(int(headers["ce_sequence"]))
    return found


async def limit_records(trial: Trial, topic: str, largest: int) -> None:
    """Let the broker refuse records of this topic that are larger."""
    admin = AIOKafkaAdminClient(**trial.kafka.options)
    await admin.start()
    try:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"max.message.bytes": str(largest)})
        await admin.alter_configs([resource])
    finally:
        await admin.close()


async def test_rows_of_a_subject_leave_in_the_order_of_their_numbers(trial: Trial) -> None:
    cases = [new_id() for _ in range(5)]
    rows = await journal(trial, [told(trial.names.partner, case) for _ in range(8) for case in cases])

    async with publishing(trial) as publisher:
        await publisher.publish(streams_of(rows))

    assert sequences(await trial.records_of(trial.names.outgoing)) == {case: list(range(1, 9)) for case in cases}
    assert await trial.unsent() == 0


async def test_a_topic_that_is_missing_delays_its_own_rows_only(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [new_id() for _ in range(3)]
    here = [told(trial.names.partner, case) for case in cases]
    nowhere = [told("partner-without-queue", case) for case in cases]
    rows = await journal(trial, [*nowhere, *here])
    monkeypatch.setattr(Publisher, "FIRST_LOOK", 60.0)

    async with publishing(trial) as publisher:
        slow = asyncio.create_task(publisher.publish(streams_of(rows)))
        await eventually(lambda: reached(trial, 3), what="the rows of the other topic")
        assert not slow.done(), "it still looks for the missing one"
        slow.cancel()

    assert {row["topic"] for row in await trial.rows(unsent=True)} == {"partner.partner-without-queue.referrals.v1"}


async def test_a_topic_that_was_missing_is_not_looked_for_by_every_batch(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = await journal(trial, [told("partner-without-queue", new_id())])
    monkeypatch.setattr(Publisher, "BLOCKED_FOR", 60.0)
    monkeypatch.setattr(Publisher, "FIRST_LOOK", 0.1)

    async with publishing(trial) as publisher:
        await publisher.publish(streams_of(nowhere))
        monkeypatch.setattr(Publisher, "FIRST_LOOK", 60.0)
        later = await journal(trial, [told(trial.names.partner, new_id())])
        async with asyncio.timeout(30):
            await publisher.publish(streams_of(nowhere) | streams_of(later))

    assert await reached(trial, 1)
    assert [row["topic"] for row in await trial.rows(unsent=True)] == ["partner.partner-without-queue.referrals.v1"]


async def reached(trial: Trial, number: int) -> bool:
    return len(await trial.records_of(trial.names.outgoing)) == number


async def test_a_row_the_broker_refuses_holds_up_its_own_subject_only(trial: Trial) -> None:
    refused, fine = new_id(), new_id()
    rows = await journal(trial, [told(trial.names.partner, case) for case in (refused, refused, fine, fine)])
    too_large = {"_id": rows[0]["_id"]}
    await trial.database[OUTBOX].update_one(too_large, {"$set": {"data": "x" * 2_000_000}})

    async with publishing(trial) as publisher:
        await publisher.publish(streams_of(rows))
        again = await journal(trial, [told(trial.names.partner, new_id())])
        await publisher.publish(streams_of(again))

    assert set(sequences(await trial.records_of(trial.names.outgoing))) == {fine, again[0]["subject"]}
    assert [row["stream"] for row in await trial.rows(unsent=True)] == [refused, refused]


async def test_a_topic_that_refused_records_once_is_written_again_by_the_same_process(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Publisher, "BLOCKED_FOR", 0.2)
    case = new_id()
    async with publishing(trial) as publisher:
        rows = await journal(trial, [told(trial.names.partner, case)])
        await publisher.publish({case})
        await limit_records(trial, trial.names.outgoing, 100)
        later = row_of(told(trial.names.partner, case), Cause.begin(), 0, case, 2, datetime.now(UTC))
        await trial.database[OUTBOX].insert_one(later)
        await eventually(lambda: refused(publisher, trial, case), what="the refusal")
        await limit_records(trial, trial.names.outgoing, 1_000_000)

        async def sent() -> bool:
            await publisher.publish({case})
            return await trial.unsent() == 0

        await eventually(sent, what="the second row", every=0.3)

    assert ids_of(await trial.records_of(trial.names.outgoing))[0] == rows[0]["_id"]
    assert set(sequences(await trial.records_of(trial.names.outgoing))[case]) == {1, 2}


async def refused(publisher: Publisher, trial: Trial, case: str) -> bool:
    await publisher.publish({case})
    return await trial.unsent() == 1


async def test_the_sweep_sends_what_an_instance_that_died_left_behind(trial: Trial) -> None:
    rows = await journal(trial, [told(trial.names.partner, new_id()) for _ in range(10)], age=timedelta(seconds=4))

    async with publishing(trial):
        await eventually(lambda: none_unsent(trial), what="the sweep")

    assert sorted(ids_of(await trial.records_of(trial.names.outgoing))) == sorted(row["_id"] for row in rows)


async def none_unsent(trial: Trial) -> bool:
    return await trial.unsent() == 0


async def test_young_rows_are_left_to_the_instance_that_wrote_them(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Publisher, "SWEEP_EVERY", 0.05)
    await journal(trial, [told(trial.names.partner, new_id())])
    swept = asyncio.Event()
    sweep_once = Publisher._sweep_once

    async def counted(self: Publisher) -> None:
        await sweep_once(self)
        swept.set()

    monkeypatch.setattr(Publisher, "_sweep_once", counted)

    async with publishing(trial):
        await asyncio.wait_for(swept.wait(), 5)

    assert await trial.unsent() == 1


async def test_whoever_publishes_a_case_first_sends_what_others_left_of_it(trial: Trial) -> None:
    case = new_id()
    await journal(trial, [told(trial.names.partner, case) for _ in range(3)])

    async with publishing(trial) as publisher:
        publisher.nudge({case})
        await eventually(lambda: none_unsent(trial), what="the rows", seconds=2)

    assert sequences(await trial.records_of(trial.names.outgoing)) == {case: [1, 2, 3]}


async def test_what_a_case_told_before_is_not_read_again_to_publish_the_next(trial: Trial) -> None:
    case = new_id()
    await journal(trial, [told(trial.names.partner, case) for _ in range(200)])
    await trial.database[OUTBOX].update_many({}, {"$unset": {"unsent": ""}})
    await trial.database[OUTBOX].insert_one(
        row_of(told(trial.names.partner, case), Cause.begin(), 0, case, 201, datetime.now(UTC))
    )
    await trial.database.command("profile", 2)

    async with publishing(trial) as publisher:
        await publisher.publish({case})

    await trial.database.command("profile", 0)
    [query] = [row async for row in trial.database["system.profile"].find({"command.filter.stream.$in": case})]
    assert (query["docsExamined"], query["nreturned"]) == (1, 1)


async def test_rows_just_sent_are_not_sent_again_by_the_same_process(trial: Trial) -> None:
    case = new_id()
    [row] = await journal(trial, [told(trial.names.partner, case)])

    async with publishing(trial) as publisher:
        for _ in range(5):
            await publisher.publish({case})

    assert ids_of(await trial.records_of(trial.names.outgoing)) == [row["_id"]]


async def test_a_mark_that_a_crash_of_the_store_took_back_is_made_again_and_nothing_sent_again(trial: Trial) -> None:
    case = new_id()
    [row] = await journal(trial, [told(trial.names.partner, case)], age=timedelta(minutes=1))

    async with publishing(trial) as publisher:
        await publisher.publish({case})
        await trial.database[OUTBOX].update_one({"_id": row["_id"]}, {"$set": {"unsent": True}})
        await eventually(lambda: none_unsent(trial), what="the mark")

    assert ids_of(await trial.records_of(trial.names.outgoing)) == [row["_id"]]


async def test_two_publishers_of_the_same_rows_keep_the_order_of_first_occurrences(trial: Trial) -> None:
    case = new_id()
    rows = await journal(trial, [told(trial.names.partner, case) for _ in range(30)])

    async with publishing(trial) as one, publishing(trial) as other:
        await asyncio.gather(one.publish({case}), other.publish({case}), one.publish({case}))

    ids = list(dict.fromkeys(ids_of(await trial.records_of(trial.names.outgoing))))
    assert ids == [row["_id"] for row in rows]


async def test_a_row_counts_as_sent_only_when_the_broker_acknowledged_it(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Publisher, "PATIENCE", 0.3)
    case = new_id()
    await journal(trial, [told(trial.names.partner, case) for _ in range(2)])

    async with publishing(trial) as publisher:

        async def never(topic: str, *_: Any, **__: Any) -> "asyncio.Future[None]":
            return asyncio.get_running_loop().create_future()

        monkeypatch.setattr(publisher._producer, "send", never)
        await publisher.publish({case})

    assert await trial.unsent() == 2


async def test_the_broker_acknowledges_only_what_every_replica_in_sync_has(trial: Trial) -> None:
    """Of one broker's answers nothing tells the difference, so this looks at what the client asks for: -1 is all."""
    async with publishing(trial) as publisher:
        assert publisher._producer._sender._acks == -1


async def test_rows_of_a_newer_version_are_sent_as_they_are(trial: Trial) -> None:
    case = new_id()
    [row] = await journal(trial, [told(trial.names.partner, case)])
    newer = "de.integrationsbuero.referral.foreseen.v1"
    await trial.database[OUTBOX].update_one({"_id": row["_id"]}, {"$set": {"type": newer}})

    async with publishing(trial) as publisher:
        await publisher.publish({case})

    [record] = await trial.records_of(trial.names.outgoing)
    assert dict(record.headers)["ce_type"] == newer.encode()


async def test_a_sweep_that_failed_is_followed_by_another(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Publisher, "SWEEP_EVERY", 0.1)
    sweep_once, failures = Publisher._sweep_once, [KeyError("a bug of ours")]

    async def failing_once(self: Publisher) -> None:
        if failures:
            raise failures.pop()
        await sweep_once(self)

    monkeypatch.setattr(Publisher, "_sweep_once", failing_once)
    await journal(trial, [told(trial.names.partner, new_id())], age=timedelta(minutes=1))

    async with publishing(trial):
        await eventually(lambda: none_unsent(trial), what="the second sweep")
