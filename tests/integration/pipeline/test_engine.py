"""The engine: each event takes effect once, whoever else runs at the same time; what is bad stops nobody."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from faults.checker import effects_violated, numbers_violated
from prometheus_client import REGISTRY
from toy.records import Written
from toy.service import CASES, PLAIN, RAISES, TOO_LARGE, Tallies, Tally
from toy.trial import Trial

from shared.contracts import BY_EVENT
from shared.contracts.base import new_id
from shared.contracts.codes import RejectionReason
from shared.contracts.partners import ReplyAccepted
from shared.contracts.routing import ReplyRejected
from shared.envelope import Cause, source_of_partner
from shared.mongo import Session, UnavailableError
from shared.pipeline import engine as engine_module
from shared.pipeline.decisions import Command, Decision, Done, Failed, Mark, Outcome, Reaction, Received, Repeated
from shared.pipeline.engine import INBOX, Engine, utc_now
from shared.pipeline.reading import Reader, Subscription
from shared.pipeline.set_aside import DISCARDED, OPEN, SetAside


async def feed(engine: Engine[Tally], trial: Trial, *events: Written) -> list[Outcome[Tally]]:
    """Run the events as one batch."""
    outcomes, _ = await engine.run([trial.command(event) for event in events])
    return outcomes


def kinds(outcomes: Sequence[Outcome[Tally]]) -> list[type]:
    return [type(outcome) for outcome in outcomes]


async def broken(trial: Trial, accepted: Sequence[Written], *, in_order: bool = True) -> list[str]:
    """The promises about the store that were not kept."""
    aside = {event.id for event in accepted if event.case_id in await held_up(trial)}
    tallies = await trial.tallies()
    return [
        *effects_violated(tallies, [event for event in accepted if event.id not in aside], in_order=in_order, aside=()),
        *numbers_violated(tallies, await trial.rows(topic=trial.names.outgoing)),
    ]


async def held_up(trial: Trial) -> set[str]:
    return {subject for document in await trial.aside() for subject in document["subjects"]}


async def test_a_repetition_in_the_same_batch_has_no_effect(store: Trial) -> None:
    event = Written()

    outcomes = await feed(store.engine(), store, event, event)

    assert kinds(outcomes) == [Done, Repeated]
    assert await broken(store, [event]) == []


async def test_a_repetition_in_a_later_batch_has_no_effect(store: Trial) -> None:
    first, second = Written(), Written()
    engine = store.engine()
    await feed(engine, store, first)

    outcomes = await feed(engine, store, first, second)

    assert kinds(outcomes) == [Repeated, Done]
    assert await broken(store, [first, second]) == []


async def test_an_id_that_was_used_on_another_topic_suppresses_nothing_and_stops_nobody(store: Trial) -> None:
    here = store.record(Written())
    elsewhere = replace(here, topic="partner.somebody-else.referrals.v1")
    commands = [store.reader().command(record) for record in (here, elsewhere)]

    outcomes, _ = await store.engine().run([command for command in commands if command is not None])

    assert kinds(outcomes) == [Done, Done]
    assert [aside["topic"] for aside in await store.aside()] == [elsewhere.topic]


async def test_events_of_one_case_in_one_batch_build_on_each_other(store: Trial) -> None:
    case = new_id()
    events = [Written(case) for _ in range(5)]

    await feed(store.engine(), store, *events)

    tally = await store.tally(case)
    assert tally is not None
    assert (tally.amount, tally.sequence, tally.version) == (5, 5, 1)
    assert await broken(store, events) == []


async def test_engines_that_race_for_the_same_batch_let_each_event_take_effect_once(store: Trial) -> None:
    cases = [new_id() for _ in range(4)]
    events = [Written(case) for _ in range(6) for case in cases]

    results = await asyncio.gather(*(feed(store.engine(), store, *events) for _ in range(3)))

    assert sorted(kinds([outcome for outcomes in results for outcome in outcomes]), key=str) == sorted(
        [Done] * 24 + [Repeated] * 48, key=str
    )
    assert await broken(store, events) == []


async def test_engines_that_race_for_the_same_cases_with_different_events_lose_none(store: Trial) -> None:
    cases = [new_id() for _ in range(3)]
    batches = [[Written(case) for case in cases] for _ in range(8)]

    await asyncio.gather(*(feed(store.engine(), store, *batch) for batch in batches))

    assert await broken(store, [event for batch in batches for event in batch], in_order=False) == []


async def test_a_lost_race_decides_again_on_what_the_winner_stored(store: Trial) -> None:
    case = new_id()
    first, second, third = (Written(case) for _ in range(3))
    await feed(store.engine(), store, first)

    class Overtaken(Tallies):
        """Another instance is faster, between loading and storing, once."""

        overtaken = False

        async def save(self, states: Sequence[tuple[int, Tally]], session: Session) -> None:
            if not self.overtaken:
                self.overtaken = True
                await feed(store.engine(), store, second)
            await super().save(states, session)

    await feed(Engine(store.database, Overtaken(store.database)), store, third)

    assert await broken(store, [first, second, third]) == []


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"wegweiser_{name}_total", labels) or 0.0


async def test_what_is_set_aside_is_counted_once_however_often_it_is_tried(store: Trial) -> None:
    case = new_id()
    batch = [Written(case), Written(case, behaviour=RAISES), Written(case)]
    before = [counted("dead_letters", reason=reason) for reason in ("handler_failed", "parked")]

    await asyncio.gather(*(feed(store.engine(), store, *batch) for _ in range(3)))
    await feed(store.engine(), store, *batch)

    after = [counted("dead_letters", reason=reason) for reason in ("handler_failed", "parked")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1]


async def test_an_event_is_counted_by_its_type_once_however_often_its_cause_is_read(store: Trial) -> None:
    rejection = a_rejection()
    command: Command[Tally] = Command(
        None, Cause.begin(), lambda _, __: Decision(events=(rejection, rejection)), (Mark(INBOX, "reply"),)
    )
    before = counted("events_told", type=BY_EVENT[ReplyRejected].type)

    for _ in range(3):
        await store.engine().run([command])

    assert counted("events_told", type=BY_EVENT[ReplyRejected].type) == before + 2


async def test_a_race_lost_for_ever_is_an_absent_store_and_no_dead_letter(
    store: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "RACES", 2)

    class AlwaysLate(Tallies):
        async def load(self, keys: Collection[str]) -> Mapping[str, Tally]:
            return {key: tally.model_copy(update={"version": 99}) for key, tally in (await super().load(keys)).items()}

    event = Written()
    await feed(store.engine(), store, event)
    later = Written(event.case_id)

    with pytest.raises(UnavailableError):
        await feed(Engine(store.database, AlwaysLate(store.database)), store, later)

    assert await store.aside() == []


@pytest.mark.parametrize("position", [0, 3, 7])
async def test_what_the_store_refuses_is_set_aside_alone(store: Trial, position: int) -> None:
    events = [Written(behaviour=TOO_LARGE if index == position else "uk") for index in range(8)]

    outcomes = await feed(store.engine(), store, *events)

    assert kinds(outcomes) == [Done] * 8
    [aside] = await store.aside()
    assert (aside["reason"], aside["key"]) == ("refused_by_store", events[position].key)
    assert await broken(store, events) == []


async def test_a_decision_that_fails_sets_its_record_aside_and_the_others_go_on(store: Trial) -> None:
    events = [Written(), Written(behaviour=RAISES), Written()]

    await feed(store.engine(), store, *events)

    [aside] = await store.aside()
    assert (aside["reason"], aside["value"]) == ("handler_failed", events[1].value)
    [letter] = await store.rows(topic=store.names.dead_letters)
    assert aside["_id"] in letter["data"]
    assert (letter["sequence"], "sent_at" in letter) == (0, False)
    assert await broken(store, events) == []


@pytest.mark.parametrize("behaviour", [RAISES, TOO_LARGE])
@pytest.mark.parametrize("together", [True, False])
async def test_later_records_of_the_same_case_wait_behind_it(store: Trial, behaviour: str, together: bool) -> None:
    case, other = new_id(), new_id()
    events = [Written(case), Written(case, behaviour=behaviour), Written(case), Written(other), Written(case)]
    engine = store.engine()

    if together:
        await feed(engine, store, *events)
    else:
        for event in events:
            await feed(engine, store, event)

    assert [aside["value"] for aside in await store.aside()] == [events[1].value, events[2].value, events[4].value]
    assert [aside["reason"] for aside in await store.aside()][1:] == ["parked", "parked"]
    tallies = await store.tallies()
    assert {case_id: tally.effects for case_id, tally in tallies.items()} == {
        case: (events[0].id,),
        other: (events[3].id,),
    }


REPLIES = "partner.awo.replies.v1"


class ByReferral(Tallies):
    """Each case is found by its own id and by that of its only referral."""

    def __init__(self, store: Trial, case: str, referral: str) -> None:
        super().__init__(store.database)
        self._names = {case: case, referral: case}

    async def load(self, keys: Collection[str]) -> Mapping[str, Tally]:
        """The tallies by what they were asked for."""
        found = await super().load({self._names.get(key, key) for key in keys})
        return {key: found[self._names[key]] for key in keys if self._names.get(key) in found}


def a_reply(store: Trial, referral: str, *, behaviour: str = PLAIN) -> Command[Tally]:
    """A partner takes a referral; it names nothing but the referral."""

    def take(received: Received[ReplyAccepted], known: Tally | None, now: datetime) -> Decision[Tally]:
        if behaviour == RAISES:
            raise ArithmeticError("the test asks for it")
        assert known is not None
        return Decision(known.model_copy(update={"effects": (*known.effects, received.cause.id)}))

    written = Written(referral, source=source_of_partner("awo")).with_header(
        "ce_type", BY_EVENT[ReplyAccepted].type.encode()
    )
    record = replace(store.record(written), topic=REPLIES)
    reaction = Reaction(ReplyAccepted, take, lambda event: event.referral_id)
    command = Reader("routing", [reaction], Subscription(REPLIES, "replies")).command(record)
    assert command is not None
    return command


async def test_a_reply_waits_behind_a_record_of_its_case(store: Trial) -> None:
    case, referral = new_id(), new_id()
    engine = Engine(store.database, ByReferral(store, case, referral))
    await feed(engine, store, Written(case), Written(case, behaviour=RAISES))

    await engine.run([a_reply(store, referral)])

    bad, reply = await store.aside()
    assert (reply["topic"], reply["reason"]) == (REPLIES, "parked")
    assert await store.effects() == 1
    aside = SetAside(store.database)
    assert await aside.ahead_of(reply) == bad["_id"]
    await aside.settle(bad["_id"], DISCARDED)
    following = await aside.next_parked(bad["subjects"])
    assert following is not None
    assert following["_id"] == reply["_id"]


async def test_a_reply_that_was_set_aside_holds_up_its_like_and_never_the_case(store: Trial) -> None:
    case, referral = new_id(), new_id()
    engine = Engine(store.database, ByReferral(store, case, referral))
    await feed(engine, store, Written(case))

    await engine.run([a_reply(store, referral, behaviour=RAISES), a_reply(store, referral)])
    await feed(engine, store, Written(case))

    assert [aside["reason"] for aside in await store.aside()] == ["handler_failed", "parked"]
    assert {subject for aside in await store.aside() for subject in aside["subjects"]} == {f"{REPLIES}/{referral}"}
    assert await store.effects() == 2


async def test_a_reply_that_fails_when_its_turn_comes_lets_the_case_go_on(store: Trial) -> None:
    case, referral = new_id(), new_id()
    engine = Engine(store.database, ByReferral(store, case, referral))
    await feed(engine, store, Written(case), Written(case, behaviour=RAISES))
    await engine.run([a_reply(store, referral), a_reply(store, referral)])
    await feed(engine, store, Written(case))
    bad, reply, next_reply, withdrawal = await store.aside()
    aside = SetAside(store.database)
    await aside.settle(bad["_id"], DISCARDED)

    await aside.fail(reply)

    assert await aside.ahead_of(next_reply) == reply["_id"]
    await aside.settle(next_reply["_id"], DISCARDED)
    following = await aside.next_parked({case})
    assert following is not None
    assert following["_id"] == withdrawal["_id"]


def an_engine_whose_clock_is_off(store: Trial, minutes: int) -> Engine[Tally]:
    return Engine(store.database, Tallies(store.database), clock=lambda: utc_now() + timedelta(minutes=minutes))


async def test_records_wait_in_the_order_they_were_parked_whatever_the_clocks_say(store: Trial) -> None:
    case = new_id()
    events = [Written(case, behaviour=RAISES), *(Written(case) for _ in range(7))]
    fast, slow = (an_engine_whose_clock_is_off(store, minutes) for minutes in (10, -10))

    for engine, batch in ((fast, events[:2]), (slow, events[2:4]), (fast, events[4:5]), (slow, events[5:])):
        await feed(engine, store, *batch)

    aside = SetAside(store.database)
    in_line = await aside.oldest()
    assert [row["offset"] for row in in_line] == [row["offset"] for row in await store.aside()]
    await aside.settle(in_line[0]["_id"], DISCARDED)
    for row in in_line[1:]:
        following = await aside.next_parked({case})
        assert following is not None
        assert following["_id"] == row["_id"]
        await aside.settle(row["_id"], DISCARDED)


async def test_instances_that_park_at_once_give_each_record_a_place_of_its_own(store: Trial) -> None:
    case = new_id()
    engines = [an_engine_whose_clock_is_off(store, minutes) for minutes in (-3, 0, 3)]
    await feed(engines[1], store, Written(case, behaviour=RAISES))

    await asyncio.gather(*(feed(engine, store, Written(case), Written(case)) for engine in engines))

    assert len({row["at"] for row in await store.aside()}) == 7


async def test_a_record_set_aside_may_be_read_again(store: Trial) -> None:
    case = new_id()
    commands = [store.command(event) for event in (Written(case, behaviour=RAISES), Written(case), Written())]
    engine = store.engine()
    await engine.run(commands)

    outcomes, _ = await engine.run(commands)

    assert kinds(outcomes) == [Repeated] * 3
    assert [aside["state"] for aside in await store.aside()] == [OPEN, OPEN]


async def test_a_state_that_cannot_be_read_sets_aside_the_records_of_its_own_case_only(store: Trial) -> None:
    damaged, fine = new_id(), new_id()
    await store.database[CASES].insert_one({"_id": damaged, "version": 1, "sequence": "many"})

    await feed(store.engine(), store, Written(fine), Written(damaged), Written(fine))

    assert [aside["key"] for aside in await store.aside()] == [damaged.encode()]
    found = await store.states.load({fine})
    assert len(found[fine].effects) == 2


async def test_a_repository_that_fails_for_one_state_sets_aside_that_one(store: Trial) -> None:
    bad, fine = Written(), Written()

    class Failing(Tallies):
        def encoded(self, state: Tally) -> dict[str, Any]:
            if state.id == bad.case_id:
                raise KeyError("a bug of ours")
            return super().encoded(state)

    await feed(Engine(store.database, Failing(store.database)), store, bad, fine)

    assert [aside["key"] for aside in await store.aside()] == [bad.key]
    assert await broken(store, [bad, fine]) == []


async def test_without_a_fallback_the_error_is_the_outcome_of_that_command_alone(store: Trial) -> None:
    good, bad = store.command(Written()), store.command(Written(behaviour=RAISES))
    commands = [good, Command(bad.key, bad.cause, bad.decide, bad.marks)]

    outcomes, _ = await store.engine().run(commands)

    assert kinds(outcomes) == [Done, Failed]
    assert await store.inbox() == 1


async def test_what_follows_carries_the_cause_and_its_threads(store: Trial) -> None:
    event = Written().with_header("ce_correlationid", new_id().encode())
    command = store.command(event)

    await store.engine().run([command])

    [row] = await store.rows()
    assert row["causation_id"] == event.id
    assert row["correlation_id"] == dict(event.headers)["ce_correlationid"].decode()
    assert row["traceparent"].split("-")[1] == dict(event.headers)["ce_traceparent"].decode().split("-")[1]


def test_a_mark_outlives_everything_on_the_bus() -> None:
    assert engine_module.INBOX_DAYS >= 30 + 7


def a_rejection() -> ReplyRejected:
    return ReplyRejected(
        partner_id="awo", rejection_id=new_id(), partition=0, offset=1, reason=RejectionReason.UNKNOWN_REFERRAL
    )


async def test_what_is_told_apart_carries_nothing_of_the_case(store: Trial) -> None:
    event = Written()
    engine = store.engine()
    await feed(engine, store, event)
    before = await store.tally(event.case_id)
    rejection = a_rejection()
    reply = Cause(new_id(), "", "")

    await engine.run([Command(event.case_id, reply, lambda _, __: Decision(events=(rejection,), apart=True))])

    [row] = await store.rows(causation_id=reply.id)
    assert (row["stream"], row["sequence"], row["correlation_id"]) == (rejection.rejection_id, 0, reply.id)
    assert await store.tally(event.case_id) == before
