"""The unique index is the truth: whoever books, restarts or races, a slot is held by one appointment."""

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pymongo.errors import DuplicateKeyError

from services.scheduling.domain.cases import ScheduledCase
from services.scheduling.domain.resources import WEEKDAYS, Resource
from services.scheduling.domain.timetable import Timetable
from services.scheduling.handlers import REACTIONS, on_own_booking, on_own_cancellation, on_referral_accepted
from services.scheduling.repository import ScheduledCases
from shared.contracts.base import derived_id
from shared.contracts.codes import (
    CancellationReason,
    Concern,
    FailureReason,
    HandOnReason,
    ServiceOutcome,
    WithdrawalReason,
)
from shared.contracts.routing import (
    PartnerEvent,
    ReferralAccepted,
    ReferralCancelled,
    ReferralCompleted,
    ReferralFailed,
    ReferralHandedOn,
    ReferralWithdrawn,
)
from shared.contracts.scheduling import AppointmentBooked, AppointmentCancelled, AppointmentUnavailable
from shared.envelope import Cause
from shared.mongo import Database, LostRaceError, transact
from shared.pipeline.decisions import Command, Done, Received
from shared.pipeline.engine import Engine

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> datetime:
        return self.now


def the_cases(
    database: Database, *, seats: int = 1, horizon_days: int = 14, clock: Clock | None = None
) -> ScheduledCases:
    """A repository as one instance of the service has it: eight slots a day, each for so many people."""
    resource = Resource.model_validate(
        {
            "id": "awo-1",
            "partner": "awo",
            "place": "integrationsbuero",
            "mode": "on_site",
            "minutes": 60,
            "seats": seats,
            "hours": {weekday: ["08:00-16:00"] for weekday in WEEKDAYS},
        }
    )
    return ScheduledCases(
        database, Timetable([resource], lead_days=1, horizon_days=horizon_days), clock=clock or Clock()
    )


def the_engine(database: Database, cases: ScheduledCases, clock: Clock | None = None) -> Engine[ScheduledCase]:
    """What makes one instance's decisions take effect."""
    return Engine(database, cases, clock=clock or Clock())


def accept(number: int) -> Command[ScheduledCase]:
    """AWO accepted the referral of the `number`-th case."""
    event = ReferralAccepted(
        case_id=derived_id("case", str(number)),
        referral_id=derived_id("referral", str(number)),
        partner_id="awo",
        person_id=derived_id("person", str(number)),
        codes=(Concern.GERMAN_COURSE,),
        languages=("ar",),
    )
    received = _received(event, "accepted", number)
    return Command(event.case_id, received.cause, lambda case, now: on_referral_accepted(received, case, now))


def withdraw(number: int) -> Command[ScheduledCase]:
    """The `number`-th case was taken back."""
    return end(number, ReferralWithdrawn, reason=WithdrawalReason.BY_PERSON)


def end(number: int, how: type[PartnerEvent], **facts: Any) -> Command[ScheduledCase]:
    """AWO was told that the referral of the `number`-th case is over."""
    event = how(
        case_id=derived_id("case", str(number)),
        referral_id=derived_id("referral", str(number)),
        partner_id="awo",
        **facts,
    )
    [reaction] = [reaction for reaction in REACTIONS if reaction.event is how]
    received = _received(event, how.__name__, number)
    return Command(event.case_id, received.cause, lambda case, now: reaction.decide(received, case, now))


def told(*numbers: int, starts_at: datetime) -> list[Command[ScheduledCase]]:
    """Before a restore these cases were told an appointment at this moment."""
    return [_adopting(on_own_booking, _booked(number, starts_at), number) for number in numbers]


def told_cancelled(number: int, *, starts_at: datetime) -> Command[ScheduledCase]:
    """Before a restore it was told that this appointment is cancelled."""
    facts = _booked(number, starts_at).model_dump()
    return _adopting(on_own_cancellation, AppointmentCancelled(**facts, reason=CancellationReason.WITHDRAWN), number)


def _booked(number: int, starts_at: datetime) -> AppointmentBooked:
    return AppointmentBooked(
        case_id=derived_id("case", str(number)),
        referral_id=derived_id("referral", str(number)),
        partner_id="awo",
        appointment_id=derived_id("appointment", str(number), str(starts_at)),
        person_id=derived_id("person", str(number)),
        starts_at=starts_at,
        minutes=60,
        place="integrationsbuero",
        mode="on_site",
        languages=("ar",),
    )


def _adopting(decide: Any, event: Any, number: int) -> Command[ScheduledCase]:
    received = _received(event, "told", number)
    return Command(event.case_id, received.cause, lambda case, now: decide(received, case, now))


def _received(event: Any, name: str, number: int) -> Received[Any]:
    id_ = derived_id(name, str(number))
    return Received(event, Cause(id_, id_, ""), sequence=0, topic="partner.awo.referrals.v1", partition=0, offset=0)


async def held(database: Database) -> list[tuple[str, datetime, int]]:
    """The slots that are taken, in order."""
    rows = database["allocations"].find().sort([("starts_at", 1), ("seat", 1)])
    return [(row["resource_id"], row["starts_at"], row["seat"]) async for row in rows]


async def starts_in_cases(database: Database) -> list[datetime]:
    """When the appointments begin that stand in the cases, in order."""
    cases = [case async for case in database["cases"].find()]
    standing = [row for case in cases for row in case["appointments"] if not row["cancelled"]]
    return sorted(row["starts_at"] for row in standing)


async def test_a_booked_slot_is_stored_with_its_case(database: Database) -> None:
    [outcome], streams = await the_engine(database, the_cases(database)).run([accept(1)])

    assert isinstance(outcome, Done)
    assert [type(event) for event in outcome.decision.events] == [AppointmentBooked]
    assert streams == {derived_id("case", "1")}
    assert await held(database) == [("awo-1", datetime(2026, 11, 24, 7, tzinfo=UTC), 0)]
    stored = await database["cases"].find_one()
    assert stored
    assert len(stored["appointments"]) == 1
    assert not stored.keys() & {"calendar", "allocated"}, "what the repository brings along is not stored"


async def test_a_withdrawal_frees_the_slot_for_the_next(database: Database) -> None:
    clock = Clock()
    engine = the_engine(database, the_cases(database, clock=clock), clock)
    await engine.run([accept(1), accept(2)])
    before = await held(database)

    await engine.run([withdraw(1)])
    assert await held(database) == before[1:]
    clock.now += ScheduledCases.MEMORY
    await engine.run([accept(3)])

    assert await held(database) == before


@pytest.mark.parametrize(
    ("how", "facts"),
    [
        (ReferralWithdrawn, {"reason": WithdrawalReason.BY_PERSON}),
        (ReferralCancelled, {"reason": WithdrawalReason.BY_SENDER}),
        (ReferralHandedOn, {"reason": HandOnReason.LANGUAGE}),
        (ReferralCompleted, {"outcome": ServiceOutcome.HELPED, "reopen_until": date(2027, 3, 1)}),
        (ReferralFailed, {"reason": FailureReason.UNREACHABLE, "reopen_until": date(2027, 3, 1)}),
    ],
)
async def test_whatever_ends_a_referral_frees_its_slot(
    database: Database, how: type[PartnerEvent], facts: dict[str, Any]
) -> None:
    engine = the_engine(database, the_cases(database))
    await engine.run([accept(1)])

    [outcome], _ = await engine.run([end(1, how, **facts)])

    assert isinstance(outcome, Done)
    assert [type(event) for event in outcome.decision.events] == [AppointmentCancelled]
    assert await held(database) == []


async def test_the_slot_of_an_appointment_that_has_begun_stays_taken(database: Database) -> None:
    clock = Clock()
    engine = the_engine(database, the_cases(database, clock=clock), clock)
    await engine.run([accept(1)])
    before = await held(database)
    clock.now += timedelta(days=2)

    [outcome], _ = await engine.run([withdraw(1)])

    assert isinstance(outcome, Done)
    assert not outcome.decision.events
    assert await held(database) == before
    assert len(await starts_in_cases(database)) == 1


async def test_a_booking_withdrawn_in_the_same_batch_holds_nothing(database: Database) -> None:
    outcomes, _ = await the_engine(database, the_cases(database)).run([accept(1), withdraw(1)])

    assert all(isinstance(outcome, Done) and outcome.decision.events for outcome in outcomes)
    assert await held(database) == []


async def test_a_case_of_which_nothing_was_booked_is_numbered_all_the_same(database: Database) -> None:
    engine = the_engine(database, the_cases(database, horizon_days=0))

    [outcome], _ = await engine.run([accept(1)])

    assert isinstance(outcome, Done)
    assert [type(event) for event in outcome.decision.events] == [AppointmentUnavailable]
    assert await database["outbox"].count_documents({"sequence": 1}) == 1


async def test_two_that_saw_the_same_slot_free_cannot_both_have_it(database: Database) -> None:
    """Both decide before either stores; the second loses the race and nothing of its batch is stored."""
    states = []
    for number in (1, 2):
        command = accept(number)
        assert command.key
        cases = the_cases(database)
        known = (await cases.load([command.key]))[command.key]
        booked = command.decide(known, MONDAY).state
        assert booked
        states.append((cases, booked.model_copy(update={"version": 1})))
    (winner, first), (loser, second) = states

    await transact(database, lambda session: winner.save([(0, first)], session))
    with pytest.raises(LostRaceError):
        await transact(database, lambda session: loser.save([(0, second)], session))

    assert len(await held(database)) == 1
    assert await database["cases"].count_documents({}) == 1


async def test_the_index_itself_refuses_a_second_holder(database: Database) -> None:
    slot = {"resource_id": "awo-1", "starts_at": MONDAY, "seat": 0}
    await database["allocations"].insert_one({"_id": "first", **slot})

    with pytest.raises(DuplicateKeyError):
        await database["allocations"].insert_one({"_id": "second", **slot})


async def test_instances_that_race_book_every_case_once(database: Database) -> None:
    """Three instances, each with its own idea of what is free, and the same acceptances told to two of them."""
    engines = [the_engine(database, the_cases(database, seats=5)) for _ in range(3)]
    shares = [range(40), range(40, 80), range(20, 60)]

    async def run(engine: Engine[ScheduledCase], share: range) -> None:
        for start in range(share.start, share.stop, 10):
            await engine.run([accept(number) for number in range(start, start + 10)])

    await asyncio.gather(*(run(engine, share) for engine, share in zip(engines, shares, strict=True)))

    slots = Counter(await held(database))
    assert len(slots) == 80
    assert set(slots.values()) == {1}
    assert await starts_in_cases(database) == sorted(start for _, start, _ in slots)


async def test_a_full_horizon_is_booked_to_the_last_seat(database: Database) -> None:
    engine = the_engine(database, the_cases(database, seats=2, horizon_days=3))

    outcomes, _ = await engine.run([accept(number) for number in range(40)])
    more, _ = await engine.run([accept(number) for number in range(40, 60)])

    told = Counter(
        type(event) for outcome in (*outcomes, *more) if isinstance(outcome, Done) for event in outcome.decision.events
    )
    assert told == {AppointmentBooked: 48, AppointmentUnavailable: 12}
    assert len(set(await held(database))) == 48


async def test_an_instance_that_starts_late_finds_the_first_free_slot(database: Database) -> None:
    await the_engine(database, the_cases(database)).run([accept(number) for number in range(100)])

    await the_engine(database, the_cases(database)).run([accept(100)])

    first_day = MONDAY + timedelta(days=1)
    expected = [first_day.replace(hour=7 + hour) + timedelta(days=day) for day in range(13) for hour in range(8)][:101]
    assert [start for _, start, _ in await held(database)] == expected


LATER = datetime(2026, 11, 26, 9, tzinfo=UTC)


async def test_what_was_told_before_a_restore_gets_its_slot_and_is_not_booked_again(database: Database) -> None:
    engine = the_engine(database, the_cases(database, seats=2))

    await engine.run(told(1, 2, starts_at=LATER))
    outcomes, _ = await engine.run([accept(1), accept(2)])

    assert await held(database) == [("awo-1", LATER, 0), ("awo-1", LATER, 1)]
    assert all(isinstance(outcome, Done) and not outcome.decision.events for outcome in outcomes)


async def test_an_appointment_that_was_told_stands_where_no_seat_is_left(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = the_engine(database, the_cases(database))

    await engine.run(told(1, starts_at=LATER))
    await engine.run(told(2, starts_at=LATER))
    await engine.run(told(3, starts_at=LATER.replace(hour=3)))

    assert await held(database) == [("awo-1", LATER, 0)]
    assert await starts_in_cases(database) == [LATER.replace(hour=3), LATER, LATER]
    assert capsys.readouterr().out.count("appointment_without_seat") == 2


async def test_a_cancellation_that_was_told_frees_the_slot_for_whoever_was_told_it_next(database: Database) -> None:
    engine = the_engine(database, the_cases(database))

    await engine.run(told(1, starts_at=LATER))
    await engine.run([told_cancelled(1, starts_at=LATER), *told(2, starts_at=LATER)])
    [again], _ = await engine.run([accept(1)])

    assert await held(database) == [("awo-1", LATER, 0)]
    assert isinstance(again, Done)
    assert not again.decision.events
    await engine.run([withdraw(2)])
    assert await held(database) == []
