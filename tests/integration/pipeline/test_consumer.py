"""The consumer: what is not handled comes again, what is handled is committed, what was passed is not lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import ConsumerRecord
from toy.records import Written, kwargs_of
from toy.trial import PARTITIONS, Trial, eventually, running

from shared import pace as pace_module
from shared.mongo import UnavailableError
from shared.pace import Pace
from shared.pipeline import consumer as consumer_module
from shared.pipeline import patient_consumer
from shared.pipeline.consumer import Consumption
from shared.pipeline.patient_consumer import READY_SECONDS, PatientConsumer
from shared.topics import Topic, provision


class Handling:
    """A handler that fails as often as it is told to, and remembers what it was given."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.batches: list[Sequence[ConsumerRecord]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.mouth = asyncio.Event()
        self.mouth.set()

    async def __call__(self, records: Sequence[ConsumerRecord]) -> Collection[str]:
        """Handle a batch, when the gate is open."""
        if self.failures:
            raise self.failures.pop(0)
        await self.gate.wait()
        self.batches.append(records)
        return ()

    async def publish(self, _streams: Collection[str]) -> None:
        """Tell of a batch, when the mouth is open."""
        await self.mouth.wait()

    @property
    def handled(self) -> set[tuple[int, int]]:
        """The places of everything handled."""
        return {(record.partition, record.offset) for records in self.batches for record in records}


def a_consumption(trial: Trial, handle: Handling, pattern: str, per_second: int = 100) -> Consumption:
    return Consumption(
        trial.kafka,
        pattern,
        trial.names.service,
        handle,
        handle.publish,
        batch_records=50,
        pace=Pace(per_second),
    )


@asynccontextmanager
async def consuming(
    trial: Trial, handle: Handling, *, pattern: str | None = None, per_second: int = 100
) -> AsyncIterator[Consumption]:
    """A consumer that runs meanwhile."""
    consumption = a_consumption(trial, handle, pattern or f"^{trial.names.incoming}$", per_second)
    await consumption.start()
    try:
        yield consumption
    finally:
        await consumption.stop()


async def until(condition: Callable[[], bool], what: str) -> None:
    async def met() -> bool:
        return condition()

    await eventually(met, what=what)


async def all_committed(trial: Trial, records: int) -> bool:
    return sum((await trial.committed()).values()) == records


def some(number: int) -> list[Written]:
    return [Written() for _ in range(number)]


@pytest.mark.parametrize("failure", [UnavailableError("away"), KafkaConnectionError(), RuntimeError("a bug of ours")])
async def test_the_first_batch_of_a_new_group_comes_again_when_it_fails(trial: Trial, failure: Exception) -> None:
    handle = Handling(failure)
    await trial.write(*some(20))

    async with consuming(trial, handle):
        await trial.write(*some(20))
        await until(lambda: len(handle.handled) == 40, "all records")
        await eventually(lambda: all_committed(trial, 40), what="the commit")


async def test_a_batch_that_fails_in_the_middle_of_a_stream_comes_again(trial: Trial) -> None:
    handle = Handling()
    async with consuming(trial, handle):
        await trial.write(*some(20))
        await until(lambda: len(handle.handled) == 20, "the beginning")
        handle.failures += [UnavailableError("away"), UnavailableError("away")]
        await trial.write(*some(20))
        await until(lambda: len(handle.handled) == 40, "the end")


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes of a portion, so few that a fetch has two of them."""
    monkeypatch.setattr(consumer_module, "BATCH_BYTES", 100_000)
    return 100_000


def some_large(number: int) -> list[Written]:
    """Records of which three fit a small portion."""
    large = some(number)
    for written in large:
        written.value = b"x" * 30_000
    return large


async def test_nothing_is_committed_that_was_not_handled(trial: Trial, small_portions: int) -> None:
    class Looking(Handling):
        """Compares the commits with what was handled before each portion of a fetch."""

        early: ClassVar[list[int]] = []

        async def __call__(self, records: Sequence[ConsumerRecord]) -> None:
            """Look, then handle."""
            self.early.append(sum((await trial.committed()).values()) - len(self.handled))
            await super().__call__(records)

    await trial.write(*some_large(30))

    handle = Looking()
    async with consuming(trial, handle):
        await until(lambda: len(handle.handled) == 30, "all records")

    assert max(handle.early) <= 0


def lose_polls(monkeypatch: pytest.MonkeyPatch, times: int) -> list[Exception]:
    """Let the client raise so often after it has passed records; returns the failures still to come."""
    getmany, failures = AIOKafkaConsumer.getmany, [KafkaConnectionError() for _ in range(times)]

    async def losing(self: AIOKafkaConsumer, *args: Any, **options: Any) -> Any:
        found = await getmany(self, *args, **options)
        if found and failures:
            raise failures.pop()
        return found

    monkeypatch.setattr(AIOKafkaConsumer, "getmany", losing)
    return failures


async def test_a_poll_that_fails_after_passing_records_loses_none(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient_consumer, "POLL_SECONDS", 0.1)
    failures = lose_polls(monkeypatch, 2)
    handle = Handling()
    await trial.write(*some(40))

    async with consuming(trial, handle):
        await until(lambda: len(handle.handled) == 40, "all records")

    assert failures == []


async def test_a_poll_that_fails_loses_nothing_while_the_broker_does_not_say_where_the_group_was(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient_consumer, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(PatientConsumer, "_note_positions", lambda _: None)  # the first poll finds them itself
    poll_failures = lose_polls(monkeypatch, 1)
    committed, failures = AIOKafkaConsumer.committed, 3

    async def silent(self: AIOKafkaConsumer, partition: Any) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise KafkaConnectionError
        return await committed(self, partition)

    monkeypatch.setattr(AIOKafkaConsumer, "committed", silent)
    handle = Handling()
    await trial.write(*some(40))

    async with consuming(trial, handle):
        await until(lambda: len(handle.handled) == 40, "all records")

    assert (poll_failures, failures) == ([], 0)


async def test_the_marks_of_a_transaction_are_no_lag(trial: Trial) -> None:
    handle = Handling()
    name = trial.names.incoming
    async with (
        AIOKafkaProducer(**trial.kafka.options, transactional_id=trial.names.service) as producer,
        consuming(trial, handle) as consumption,
    ):
        await producer.begin_transaction()
        await producer.send_and_wait(name, **kwargs_of(Written()), partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(name, **kwargs_of(Written()), partition=1)
        await until(lambda: len(handle.handled) == 1, "the record")

        await until(lambda: consumption.lag() == {name: 0}, "no lag")
        await eventually(lambda: all_committed(trial, 4), what="the commit behind the marks")


async def test_a_commit_that_failed_is_made_up_for_without_new_records(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, failures = AIOKafkaConsumer.commit, 1

    async def failing(self: AIOKafkaConsumer, *args: Any) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise KafkaConnectionError
        await commit(self, *args)

    monkeypatch.setattr(AIOKafkaConsumer, "commit", failing)
    handle = Handling()
    await trial.write(Written())

    async with consuming(trial, handle):
        await eventually(lambda: all_committed(trial, 1), what="the commit")

    assert len(handle.batches) == 1


async def test_a_commit_that_hangs_does_not_hold_up_the_next_batch(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patient_consumer, "COMMIT_SECONDS", 0.1)

    async def hanging(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(AIOKafkaConsumer, "commit", hanging)
    handle = Handling()

    async with consuming(trial, handle):
        for number in range(1, 4):
            await trial.write(Written())
            await until(lambda expected=number: len(handle.handled) == expected, "the record")  # type: ignore[misc]


async def test_a_stop_finishes_the_batch_and_commits_it(trial: Trial) -> None:
    handle = Handling()
    handle.gate.clear()
    await trial.write(*some(10))
    consumption = a_consumption(trial, handle, f"^{trial.names.incoming}$")
    await consumption.start()
    await until(lambda: not consumption._listener.consumer.idle.is_set(), "the batch")  # type: ignore[union-attr]

    stopping = asyncio.create_task(consumption.stop())
    await asyncio.sleep(0)
    handle.gate.set()
    await stopping

    assert sum((await trial.committed()).values()) == len(handle.handled) > 0


async def test_the_next_batch_takes_effect_while_this_one_is_told_but_none_beyond_it(trial: Trial) -> None:
    handle = Handling()
    handle.mouth.clear()
    await trial.write(*some(300))

    async with consuming(trial, handle):
        await until(lambda: len(handle.batches) == 2, "the second batch")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await until(lambda: len(handle.batches) > 2, "a third one")
        assert sum((await trial.committed()).values()) == 0
        handle.mouth.set()
        await eventually(lambda: all_committed(trial, 300), what="the commits")


async def test_a_batch_that_fails_while_the_one_before_is_told_does_not_bring_that_one_again(trial: Trial) -> None:
    handle = Handling()
    handle.mouth.clear()
    await trial.write(*some(10))

    async with consuming(trial, handle) as consumption:
        await until(lambda: len(handle.handled) == 10, "what is told")
        handle.failures.append(UnavailableError("away"))
        await trial.write(*some(10))
        await until(lambda: not handle.failures, "the failure")
        handle.mouth.set()
        await eventually(lambda: all_committed(trial, 20), what="the commits")
        assert consumption.lag() == {trial.names.incoming: 0}

    assert sum(len(records) for records in handle.batches) == 20


async def test_a_stop_waits_for_the_commit_that_is_under_way(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = AIOKafkaConsumer.commit
    under_way, may_end = asyncio.Event(), asyncio.Event()

    async def slow(self: AIOKafkaConsumer, offsets: Any = None) -> None:
        under_way.set()
        await may_end.wait()
        await commit(self, offsets)

    monkeypatch.setattr(AIOKafkaConsumer, "commit", slow)
    handle = Handling()
    await trial.write(*some(10))
    consumption = a_consumption(trial, handle, f"^{trial.names.incoming}$")
    await consumption.start()
    await until(lambda: len(handle.handled) == 10, "the batch")
    await under_way.wait()

    stopping = asyncio.create_task(consumption.stop())
    done, _ = await asyncio.wait({stopping}, timeout=1)
    assert not done
    may_end.set()
    await stopping

    assert sum((await trial.committed()).values()) == 10


async def test_a_topic_that_appears_stops_nobody(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client forgets its partitions for as long as it asks for the cluster's topics."""
    asking, may_answer = AIOKafkaClient.force_metadata_update, asyncio.Event()

    async def late(self: AIOKafkaClient) -> Any:
        await may_answer.wait()
        return await asking(self)

    handle, names = Handling(), trial.names
    async with consuming(trial, handle, pattern=rf"^partner\.{names.partner}-.*\.referrals\.v1$") as consumption:
        await trial.write(*some(3))
        await until(lambda: len(handle.handled) == 3, "the first records")
        consumer = consumption._listener.consumer
        assert consumer is not None
        monkeypatch.setattr(AIOKafkaClient, "force_metadata_update", lambda self: asyncio.ensure_future(late(self)))
        await provision(trial.kafka, [Topic(f"partner.{names.partner}-more.referrals.v1", PARTITIONS)])
        await until(lambda: consumer._subscription.subscription.assignment is None, "the moment without partitions")
        consumer.put_back()
        consumer._note_positions()
        may_answer.set()
        await trial.write(*some(5))
        await until(lambda: len(handle.handled) == 8, "the records after it")


async def test_a_stop_waits_for_what_is_being_told(trial: Trial) -> None:
    handle = Handling()
    handle.mouth.clear()
    await trial.write(*some(10))
    consumption = a_consumption(trial, handle, f"^{trial.names.incoming}$")
    await consumption.start()
    await until(lambda: bool(handle.batches), "a batch")

    stopping = asyncio.create_task(consumption.stop())
    done, _ = await asyncio.wait({stopping}, timeout=1)
    assert not done
    handle.mouth.set()
    await stopping

    assert sum((await trial.committed()).values()) == len(handle.handled) > 0


async def test_nothing_more_is_fetched_while_records_wait_for_the_handler(trial: Trial) -> None:
    handle = Handling()
    handle.gate.clear()
    await trial.write(*some(300))

    async with consuming(trial, handle) as consumption:
        consumer = consumption._listener.consumer
        assert consumer is not None
        await until(lambda: not consumer.idle.is_set(), "the batch")
        for _ in range(10):
            await asyncio.sleep(0.05)
            assert consumer._fetcher._in_flight == set()
        handle.gate.set()
        await until(lambda: len(handle.handled) == 300, "all records")


@pytest.mark.parametrize("part", ["key", "value", "header"])
async def test_large_records_are_handled_in_portions_that_fit_a_transaction(
    trial: Trial, small_portions: int, part: str
) -> None:
    handle = Handling()
    large = some(30)
    for written in large:
        if part == "header":
            written.with_header("x", b"x" * 30_000)
        else:
            setattr(written, part, b"x" * 30_000)
    await trial.write(*large)

    async with consuming(trial, handle):
        await until(lambda: len(handle.handled) == 30, "all records")

    assert max(len(batch) for batch in handle.batches) * 30_000 <= small_portions


async def test_a_start_that_fails_is_tried_again(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    start, failures = AIOKafkaConsumer.start, 2

    async def failing(self: AIOKafkaConsumer) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise KafkaConnectionError
        await start(self)

    monkeypatch.setattr(AIOKafkaConsumer, "start", failing)
    handle = Handling()
    await trial.write(Written())

    async with consuming(trial, handle) as consumption:
        await until(lambda: len(handle.handled) == 1, "the record")
        assert consumption.is_ready


async def test_a_topic_that_appears_later_is_read_by_its_pattern(trial: Trial) -> None:
    handle = Handling()
    names = trial.names
    pattern = rf"^partner\.{names.partner}(-reads|-second)\.referrals\.v1$"
    later = Topic(f"partner.{names.partner}-reads-new.referrals.v1", PARTITIONS)

    async with consuming(trial, handle, pattern=pattern.replace("-second", "-reads-new")):
        await provision(trial.kafka, [later])
        await trial.write(*some(5), topic=later.name)
        await until(lambda: len(handle.handled) > 0, "a record of the new topic")


async def test_a_partition_is_handed_over_only_when_its_batch_is_finished(trial: Trial) -> None:
    slow, other = Handling(), Handling()
    slow.gate.clear()
    await trial.write(*some(20))

    async with consuming(trial, slow) as first:
        await until(lambda: not first._listener.consumer.idle.is_set(), "the batch")  # type: ignore[union-attr]
        joining = asyncio.create_task(consuming(trial, other).__aenter__())
        await until(lambda: first._listener.consumer.joined is False, "the rebalance")  # type: ignore[union-attr]
        slow.gate.set()
        second = await joining
        await until(lambda: len(slow.handled | other.handled) == 20, "all records")
        await second.stop()

    assert slow.handled & other.handled == set()


async def test_an_instance_is_ready_when_it_belongs_to_its_group_and_polls(trial: Trial) -> None:
    pipeline = trial.pipeline()
    assert pipeline.readiness() == {trial.names.service: False}

    async with running(pipeline):
        await until(lambda: pipeline.readiness() == {trial.names.service: True}, "readiness")
        await trial.write(*some(3))
        await eventually(lambda: handled_all(trial), what="the effects")
        assert pipeline.lag() == {trial.names.incoming: 0}


async def test_an_instance_whose_broker_does_not_answer_is_not_ready(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with consuming(trial, Handling()) as consumption:
        consumer = consumption._listener.consumer
        assert consumer is not None
        joined_at = consumer.answered_at
        await until(lambda: consumer.answered_at > joined_at, "a heartbeat")
        await until(lambda: consumption.is_ready, "readiness")

        consumer.answered_at -= READY_SECONDS
        assert not consumption.is_ready

        await until(lambda: consumption.is_ready, "the next heartbeat")


async def handled_all(trial: Trial) -> bool:
    return await all_committed(trial, 3)


async def test_a_flood_from_outside_waits_for_its_turn_and_holds_up_nobody(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace_module, "BURST_SECONDS", 1)
    flood, handle = Topic(f"partner.{trial.names.partner}.replies.v1", PARTITIONS), Handling()
    await provision(trial.kafka, [flood])
    await trial.write(*some(500), topic=flood.name)

    def taken(topic: str) -> int:
        return sum(record.topic == topic for records in handle.batches for record in records)

    async with consuming(trial, handle, pattern=rf"^({trial.names.incoming}|{flood.name})$"):
        await until(lambda: taken(flood.name) > 100, "its burst")
        await trial.write(*some(200))
        await until(lambda: taken(trial.names.incoming) == 200, "the others")
        assert taken(flood.name) < 500

        await until(lambda: taken(flood.name) >= 500, "the flood")
    assert taken(flood.name) == 500
