"""Records set aside: kept with their bytes, replayed in order, given up on demand."""

import asyncio
from typing import Any

import pytest
from faults.checker import effects_violated
from toy.records import Written
from toy.service import RAISES, Counting
from toy.trial import Trial, eventually, running

from shared.contracts.base import new_id
from shared.pipeline.decisions import Decision
from shared.pipeline.pipeline import Pipeline
from shared.pipeline.set_aside import DISCARDED, OPEN, REPLAYED, record_of


@pytest.fixture
def repaired(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call it, and the decision no longer fails: somebody has repaired the service."""
    count = Counting.__call__

    def repair() -> None:
        def patient(self: Counting, received: Any, known: Any, now: Any) -> Decision[Any]:
            plain = received.event.model_copy(update={"languages": ("uk",)})
            return count(self, type(received)(**{**fields_of(received), "event": plain}), known, now)

        monkeypatch.setattr(Counting, "__call__", patient)

    return repair


def fields_of(received: Any) -> dict[str, Any]:
    return {name: getattr(received, name) for name in received.__dataclass_fields__}


async def first(trial: Trial) -> dict[str, Any]:
    """The oldest record that waits."""
    [waiting] = await trial.pipeline().set_aside.oldest(limit=1)
    document = await trial.pipeline().set_aside.get(waiting["_id"])
    assert document is not None
    return document


async def setting_aside(trial: Trial, pipeline: Pipeline[Any], *events: Written) -> None:
    """Write the events and wait until each was handled."""
    await trial.write(*events)
    handled = len(events)
    await eventually(lambda: at_rest(trial, handled), what="the records set aside")


async def at_rest(trial: Trial, handled: int) -> bool:
    return await trial.effects() + len(await trial.aside()) >= handled


async def test_a_replay_takes_up_the_record_and_what_is_parked_behind_it_in_order(trial: Trial, repaired: Any) -> None:
    case = new_id()
    events = [Written(case), Written(case, behaviour=RAISES), Written(case), Written(case)]
    pipeline = trial.pipeline()
    async with running(pipeline):
        await setting_aside(trial, pipeline, *events)
        repaired()

        assert await pipeline.replay(await first(trial)) == 3

    assert effects_violated(await trial.tallies(), events, in_order=True, aside=()) == []
    assert {document["state"] for document in await trial.aside()} == {"replayed"}


async def test_a_parked_record_that_fails_itself_holds_up_its_case_in_turn(trial: Trial) -> None:
    case = new_id()
    events = [Written(case, behaviour=RAISES), Written(case, behaviour=RAISES), Written(case)]
    pipeline = trial.pipeline()
    async with running(pipeline):
        await setting_aside(trial, pipeline, *events)

        assert await pipeline.discard(await first(trial)) == 0
        waiting = [(document["state"], document["reason"]) for document in await trial.aside()]
        assert waiting == [(DISCARDED, "handler_failed"), (OPEN, "handler_failed"), (OPEN, "parked")]
        assert await pipeline.discard(await first(trial)) == 1

    assert effects_violated(await trial.tallies(), events[2:], in_order=True, aside=()) == []


async def test_a_replay_that_fails_again_leaves_everything_waiting(trial: Trial) -> None:
    case = new_id()
    pipeline = trial.pipeline()
    async with running(pipeline):
        await setting_aside(trial, pipeline, Written(case, behaviour=RAISES), Written(case))

        assert await pipeline.replay(await first(trial)) == 0

    assert [document["state"] for document in await trial.aside()] == [OPEN, OPEN]
    assert await trial.tally(case) is None


async def test_giving_a_record_up_takes_up_what_is_parked_behind_it(trial: Trial) -> None:
    case = new_id()
    events = [Written(case, behaviour=RAISES), Written(case), Written(case)]
    pipeline = trial.pipeline()
    async with running(pipeline):
        await setting_aside(trial, pipeline, *events)

        assert await pipeline.discard(await first(trial)) == 2

    assert effects_violated(await trial.tallies(), events[1:], in_order=True, aside=()) == []


@pytest.mark.parametrize(("orders", "end"), [(("discard", "replay"), DISCARDED), (("replay", "discard"), REPLAYED)])
async def test_whoever_settles_a_record_first_decides_what_becomes_of_it(
    trial: Trial, repaired: Any, orders: tuple[str, str], end: str
) -> None:
    event = Written(behaviour=RAISES)
    one, other = trial.pipeline(), trial.pipeline()
    async with running(one, other):
        await setting_aside(trial, one, event)
        known_to_both = await first(trial)
        repaired()

        await getattr(one, orders[0])(known_to_both)
        await getattr(other, orders[1])(known_to_both)

    assert [document["state"] for document in await trial.aside()] == [end]
    assert await trial.effects() == (1 if end == REPLAYED else 0)


async def test_two_instances_that_replay_a_record_at_once_let_it_take_effect_once(trial: Trial, repaired: Any) -> None:
    case = new_id()
    events = [Written(case, behaviour=RAISES), Written(case), Written(case)]
    one, other = trial.pipeline(), trial.pipeline()
    async with running(one, other):
        await setting_aside(trial, one, *events)
        known_to_both = await first(trial)
        repaired()

        await asyncio.gather(one.replay(known_to_both), other.replay(known_to_both))

    assert effects_violated(await trial.tallies(), events, in_order=True, aside=()) == []
    assert {document["state"] for document in await trial.aside()} == {REPLAYED}


async def test_records_that_arrive_during_a_replay_wait_for_nobody_afterwards(trial: Trial, repaired: Any) -> None:
    case = new_id()
    early = [Written(case, behaviour=RAISES), *(Written(case) for _ in range(10))]
    late = [Written(case) for _ in range(20)]
    pipeline = trial.pipeline(batch_records=3)
    async with running(pipeline):
        await setting_aside(trial, pipeline, *early)
        repaired()

        await asyncio.gather(trial.write(*late), pipeline.replay(await first(trial)))

        await eventually(lambda: counted(trial, case, 31), what="all effects")
    assert effects_violated(await trial.tallies(), [*early, *late], in_order=True, aside=()) == []


async def counted(trial: Trial, case: str, number: int) -> bool:
    tally = await trial.tally(case)
    return tally is not None and len(tally.effects) == number


async def test_dead_letters_of_one_key_claim_no_order(trial: Trial) -> None:
    case = new_id()
    pipeline = trial.pipeline()
    async with running(pipeline):
        await setting_aside(trial, pipeline, Written(case, behaviour=RAISES), Written(case))

        async def told() -> list[Any] | None:
            letters = await trial.records_of(trial.names.dead_letters)
            return letters if len(letters) == 2 else None

        letters = await eventually(told, what="the dead letters")

    assert {letter.key for letter in letters} == {case.encode()}
    assert {dict(letter.headers)["ce_sequence"] for letter in letters} == {b"0"}


async def test_the_bytes_are_kept_and_the_dead_letter_has_none_of_them(trial: Trial) -> None:
    event = Written(behaviour=RAISES).with_header("x-name", b"Anna Beispiel")
    pipeline = trial.pipeline()
    async with running(pipeline):
        await setting_aside(trial, pipeline, event)

        async def told() -> list[Any]:
            return await trial.records_of(trial.names.dead_letters)

        [letter] = await eventually(told, what="the dead letter")

    [document] = await trial.aside()
    kept = record_of(document)
    assert (kept.key, kept.value, ("x-name", b"Anna Beispiel") in kept.headers) == (event.key, event.value, True)
    assert b"Anna" not in letter.value + repr(letter.headers).encode()
    assert kept.topic.encode() in letter.value
