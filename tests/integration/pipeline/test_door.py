"""The HTTP door: requests that arrive together share a transaction, and none pays for another's fault."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, cast

import pytest
from faults.checker import effects_violated, numbers_violated
from motor.motor_asyncio import AsyncIOMotorClientSession
from prometheus_client import REGISTRY
from pymongo.errors import AutoReconnect
from toy.records import Written
from toy.service import RAISES, Tally
from toy.trial import Trial, eventually

from shared import mongo
from shared.contracts.base import new_id
from shared.mongo import UnavailableError
from shared.pipeline import engine as engine_module
from shared.pipeline.decisions import Command, Done, Failed, Outcome, Repeated
from shared.pipeline.door import Door
from shared.pipeline.engine import Engine
from shared.pipeline.outbox import Publisher


class NoPublisher:
    """Publishing is not what these tests are about."""

    def nudge(self, streams: Iterable[str]) -> None:
        """Leave it."""


def a_door(engine: Engine[Tally]) -> Door[Tally]:
    return Door(engine, cast(Publisher, NoPublisher()))


@pytest.fixture
async def door(store: Trial) -> AsyncIterator[Door[Tally]]:
    opened = a_door(store.engine())
    opened.start()
    yield opened
    await opened.stop()


@pytest.fixture
def transactions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each transaction of the engine."""
    counted: list[int] = []
    transact = engine_module.transact

    async def counting(*args: Any) -> None:
        counted.append(1)
        await transact(*args)

    monkeypatch.setattr(engine_module, "transact", counting)
    return counted


def request(trial: Trial, written: Written | None = None) -> Command[Tally]:
    """A command as a request hands it in: nothing takes its place when it fails."""
    command = trial.command(written or Written())
    return Command(command.key, command.cause, command.decide, command.marks)


async def test_requests_that_arrive_together_share_one_transaction(
    store: Trial, door: Door[Tally], transactions: list[int]
) -> None:
    outcomes = await asyncio.gather(*(door.submit(request(store)) for _ in range(50)))

    assert {type(outcome) for outcome in outcomes} == {Done}
    assert len(transactions) == 1
    assert await store.effects() == 50


async def test_a_group_has_a_limit(store: Trial, door: Door[Tally], transactions: list[int]) -> None:
    await asyncio.gather(*(door.submit(request(store)) for _ in range(Door.LARGEST_GROUP + 1)))

    assert len(transactions) == 2


async def test_the_same_request_twice_in_a_group_is_one_effect_and_one_repetition(
    store: Trial, door: Door[Tally]
) -> None:
    command = request(store)

    outcomes = await asyncio.gather(door.submit(command), door.submit(command))

    assert [type(outcome) for outcome in outcomes] == [Done, Repeated]


async def test_a_request_that_fails_costs_the_others_nothing(store: Trial, door: Door[Tally]) -> None:
    good, bad = request(store), request(store, Written(behaviour=RAISES))

    outcomes = await asyncio.gather(door.submit(good), door.submit(bad))

    assert [type(outcome) for outcome in outcomes] == [Done, Failed]


async def test_groups_of_two_instances_that_race_for_the_same_cases_answer_all_and_lose_nothing(
    store: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Door, "LARGEST_GROUP", 5)
    doors = [a_door(store.engine()) for _ in range(2)]
    cases = [new_id() for _ in range(3)]
    events = [Written(case) for _ in range(20) for case in cases]
    races = REGISTRY.get_sample_value("wegweiser_lost_races_total") or 0
    for door in doors:
        door.start()

    outcomes = await asyncio.gather(
        *(doors[number % 2].submit(request(store, event)) for number, event in enumerate(events))
    )
    for door in doors:
        await door.stop()

    assert {type(outcome) for outcome in outcomes} == {Done}
    assert (REGISTRY.get_sample_value("wegweiser_lost_races_total") or 0) > races
    tallies = await store.tallies()
    assert effects_violated(tallies, events, in_order=False, aside=()) == []
    assert numbers_violated(tallies, await store.rows()) == []


class Grouped(Engine[Tally]):
    """Cannot store more than one command at a time."""

    async def run(self, commands: Sequence[Command[Tally]]) -> tuple[list[Outcome[Tally]], set[str]]:
        """Fail for a group."""
        if len(commands) > 1:
            raise RuntimeError("a bug of ours")
        return await super().run(commands)


async def test_a_group_that_failed_is_repeated_one_by_one(store: Trial) -> None:
    door = a_door(Grouped(store.database, store.states))
    door.start()

    outcomes = await asyncio.gather(*(door.submit(request(store)) for _ in range(5)))
    await door.stop()

    assert [type(outcome) for outcome in outcomes] == [Done] * 5


def unknown_result() -> AutoReconnect:
    error = AutoReconnect("connection closed")
    error._add_error_label("UnknownTransactionCommitResult")
    return error


async def test_a_commit_with_unknown_result_is_repeated_and_takes_effect_once(
    store: Trial, door: Door[Tally], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, answers = AsyncIOMotorClientSession.commit_transaction, [unknown_result(), unknown_result()]

    async def cut_off(self: AsyncIOMotorClientSession) -> None:
        await commit(self)
        if answers:
            raise answers.pop()

    monkeypatch.setattr(AsyncIOMotorClientSession, "commit_transaction", cut_off)
    written = Written()

    outcome = await door.submit(request(store, written))

    assert isinstance(outcome, Done)
    assert answers == []
    tally = await store.tally(written.case_id)
    assert tally is not None
    assert tally.effects == (written.id,)


async def test_a_commit_that_stays_unknown_is_an_absent_store_and_no_refusal(
    store: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = AsyncIOMotorClientSession.commit_transaction

    async def cut_off(self: AsyncIOMotorClientSession) -> None:
        await commit(self)
        raise unknown_result()

    command = store.command(Written())
    with monkeypatch.context() as patched:
        patched.setattr(mongo, "COMMIT_PATIENCE", 0.1)
        patched.setattr(AsyncIOMotorClientSession, "commit_transaction", cut_off)
        with pytest.raises(UnavailableError):
            await store.engine().run([command])

    [outcome], _ = await store.engine().run([command])

    assert isinstance(outcome, Repeated)
    assert await store.aside() == []


async def test_requests_learn_that_the_store_is_away(store: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> None:
        raise UnavailableError("away")

    monkeypatch.setattr(engine_module, "transact", away)
    door = a_door(store.engine())
    door.start()

    outcomes = await asyncio.gather(*(door.submit(request(store)) for _ in range(3)), return_exceptions=True)
    await door.stop()

    assert [type(outcome) for outcome in outcomes] == [UnavailableError] * 3


async def test_a_door_that_is_not_open_says_so_at_once(store: Trial) -> None:
    door = a_door(store.engine())

    with pytest.raises(UnavailableError):
        await door.submit(request(store))


async def test_what_was_handed_in_before_the_stop_is_stored(store: Trial) -> None:
    door = a_door(store.engine())
    door.start()
    waiting = [asyncio.create_task(door.submit(request(store))) for _ in range(5)]
    await asyncio.sleep(0)

    await door.stop()

    assert [type(await outcome) for outcome in waiting] == [Done] * 5


async def submitted(door: Door[Tally], command: Command[Tally]) -> Outcome[Tally] | None:
    """None while the door is closed."""
    try:
        return await door.submit(command)
    except UnavailableError:
        return None


async def test_requests_are_taken_before_the_broker_was_ever_reached(store: Trial) -> None:
    lonely = Trial(store.kafka.model_copy(update={"kafka_bootstrap": "127.0.0.1:1"}), store.mongo_url)
    pipeline = lonely.pipeline()
    starting = asyncio.create_task(pipeline.start())
    try:
        command = lonely.command(Written())
        outcome = await eventually(lambda: submitted(pipeline.door, command), what="an open door")

        assert isinstance(outcome, Done)
        assert await lonely.unsent() == 1
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await pipeline.stop()
        await lonely.client.drop_database(lonely.names.service)
        lonely.client.close()
