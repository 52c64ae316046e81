"""What is written beside a case, and what the repository finds again."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from lifecycle.agreements import NOW, TERMS
from lifecycle.worlds import Terms

from services.routing.domain.assigning import assigned
from services.routing.domain.capacity import note_capacity
from services.routing.domain.case import KEPT, RoutedCase
from services.routing.domain.decisions import route
from services.routing.domain.placing import conclude
from services.routing.domain.replies import accept, complete, decline, reopen, start
from services.routing.repository import EXPLANATIONS, RoutedCases
from services.routing.surroundings import CAPACITIES, CASES, TAKEN_PLACES
from shared.contracts.base import derived_id
from shared.contracts.codes import (
    Actor,
    AgeBand,
    AssignmentReason,
    CapacityStatus,
    Concern,
    DeclineReason,
    LegalBasisKind,
    Municipality,
    ServiceOutcome,
    Urgency,
)
from shared.contracts.intake import CaseOpened, ConcernFacts, LegalBasis
from shared.contracts.partners import (
    CapacityReported,
    ReplyAccepted,
    ReplyCompleted,
    ReplyDeclined,
    ReplyReopened,
    ReplyStarted,
)
from shared.envelope import Cause
from shared.mongo import Database
from shared.pipeline.decisions import Command, Decision, Done, Received
from shared.pipeline.engine import Engine
from shared.pipeline.outbox import OUTBOX


def an_instance(database: Database) -> tuple[RoutedCases, Engine[Any]]:
    cases = RoutedCases(database, Terms())
    return cases, Engine(database, cases)


def command(cases: RoutedCases, decide: Any, event: Any, key: str, *, by: str | None = None) -> Command[Any]:
    id_ = derived_id("cause", key, event.model_dump_json())
    received = Received(event, Cause(id_, id_, ""), 0, "topic", 0, 0, by, None)
    return Command(key, received.cause, lambda known, now: decide(cases.situation, received, known, now))


def a_case(number: int, code: Concern = Concern.DEBT, received_at: datetime = NOW) -> CaseOpened:
    person = derived_id("person")
    concern = ConcernFacts(
        concern_id=derived_id("concern", str(number)), code=code, person_id=person, age_band=AgeBand.ADULT
    )
    return CaseOpened(
        case_id=derived_id("case", str(number)),
        person_id=person,
        received_at=received_at,
        municipality=Municipality.HOFHEIM,
        languages=(),
        urgency=Urgency.NORMAL,
        legal_basis=LegalBasis(kind=LegalBasisKind.PUBLIC_TASK),
        concerns=(concern,),
    )


def opening(cases: RoutedCases, *args: Any) -> Command[Any]:
    event = a_case(*args)
    return command(cases, route, event, event.case_id)


async def found(cases: RoutedCases, case_id: str) -> RoutedCase:
    case = await cases.get(case_id)
    assert case is not None
    return case


async def limited(cases: RoutedCases, engine: Engine[Any], places: int) -> None:
    said = CapacityReported(
        partner_id="schuldnerberatung", code=Concern.DEBT, status=CapacityStatus.LIMITED, places=places
    )
    await engine.run([command(cases, note_capacity, said, "schuldnerberatung/debt", by="schuldnerberatung")])


async def test_a_referral_and_its_explanation_are_stored_together_once_however_many_race(database: Database) -> None:
    instances = [an_instance(database) for _ in range(3)]

    await asyncio.gather(*(engine.run([opening(cases, n) for n in range(5)]) for cases, engine in instances))

    documents = await database[CASES].find().to_list(None)
    referrals = {referral["id"] for document in documents for referral in document["referrals"]}
    explained = [why["referral_id"] async for why in database[EXPLANATIONS].find()]
    assert sorted(explained) == sorted(referrals)
    assert len(referrals) == 5
    [why] = await instances[0][0].explanations(documents[0]["_id"], documents[0]["referrals"][0]["id"])
    assert (why["partner_id"], why["agreement"]) == ("schuldnerberatung", "2020-01-01")


async def test_explanations_are_in_the_cases_own_order_whatever_the_clocks_say(database: Database) -> None:
    cases, engine = an_instance(database)
    _, behind = an_instance(database)
    behind._clock = lambda: NOW - timedelta(hours=1)
    await engine.run([opening(cases, 1, Concern.MONEY_MANAGEMENT)])  # nobody takes it
    case_id = derived_id("case", "1")
    [task] = (await found(cases, case_id)).referrals

    def decide(case: RoutedCase | None, now: datetime) -> Decision[RoutedCase]:
        assert case is not None
        asked, offered = assigned(
            case, task, "awo", TERMS.terms[0], cases.situation, now, Actor.OFFICE, AssignmentReason.OTHER
        )
        return conclude(asked, [offered], cases.situation, derived_id("office"), now)

    await behind.run([Command(case_id, Cause.begin(), decide)])

    explained = await cases.explanations(case_id, task.id)
    assert [(why["by"], why["partner_id"]) for why in explained] == [("agreement", None), ("office", "awo")]
    assert explained[1]["at"] < explained[0]["at"]


async def test_a_limited_offer_is_exceeded_by_a_batch_of_each_instance_at_most(database: Database) -> None:
    (one, first), (two, second) = an_instance(database), an_instance(database)
    await limited(one, first, 6)

    for begin in range(0, 40, 8):
        await asyncio.gather(
            first.run([opening(one, n) for n in range(begin, begin + 4)]),
            second.run([opening(two, n) for n in range(begin + 4, begin + 8)]),
        )

    taken = await database[TAKEN_PLACES].count_documents({})
    assert 6 <= taken <= 6 + 4
    assert taken == await database[CASES].count_documents({"referrals.state": "offered"})


async def test_a_place_is_given_back_when_its_referral_ends(database: Database) -> None:
    cases, engine = an_instance(database)
    await limited(cases, engine, 1)
    await engine.run([opening(cases, 1), opening(cases, 2)])
    assert await database[TAKEN_PLACES].count_documents({}) == 1

    taken = await database[CASES].find_one({"referrals.state": "offered"})
    assert taken is not None
    said = ReplyDeclined(referral_id=taken["referrals"][0]["id"], reason=DeclineReason.OTHER)
    await engine.run([command(cases, decline, said, said.referral_id, by="schuldnerberatung")])
    assert await database[TAKEN_PLACES].count_documents({}) == 0

    await engine.run([opening(cases, 3)])
    third = await found(cases, derived_id("case", "3"))
    assert third.referrals[0].partner_id == "schuldnerberatung"


async def test_a_reopened_service_has_its_place_again_also_within_one_batch(database: Database) -> None:
    cases, engine = an_instance(database)
    await limited(cases, engine, 1)
    await engine.run([opening(cases, 1)])
    taken = await database[CASES].find_one({"referrals.state": "offered"})
    assert taken is not None
    referral_id = taken["referrals"][0]["id"]

    def replying(decide: Any, reply: Any) -> Command[Any]:
        return replace(command(cases, decide, reply, referral_id, by="schuldnerberatung"), cause=Cause.begin())

    ending = replying(complete, ReplyCompleted(referral_id=referral_id, outcome=ServiceOutcome.HELPED))
    reopening = replying(reopen, ReplyReopened(referral_id=referral_id))
    accepting = replying(accept, ReplyAccepted(referral_id=referral_id))
    await engine.run([accepting, replying(start, ReplyStarted(referral_id=referral_id)), ending, reopening])
    assert await database[TAKEN_PLACES].count_documents({"referral_id": referral_id}) == 1
    assert [case["version"] async for case in database[CASES].find()] == [2]

    await engine.run([replace(ending, cause=Cause.begin())])
    assert await database[TAKEN_PLACES].count_documents({}) == 0

    await engine.run([replace(reopening, cause=Cause.begin())])
    assert await database[TAKEN_PLACES].count_documents({"referral_id": referral_id}) == 1


async def test_cases_are_due_with_their_first_clock_the_longest_due_first(database: Database) -> None:
    cases, engine = an_instance(database)
    await engine.run([opening(cases, 1, Concern.DEBT), opening(cases, 2, Concern.HOUSING_SEARCH)])
    later = datetime.now(UTC) + timedelta(days=60)
    first, second = derived_id("case", "2"), derived_id("case", "1")

    assert await cases.due(datetime.now(UTC), 10) == []
    assert [due.case_id for due in await cases.due(later, 10)] == [first, second]
    assert [due.case_id for due in await cases.due(later, 1)] == [first]
    assert [due.case_id for due in await cases.due(later, 10, but=[first])] == [second]


async def test_a_case_is_forgotten_with_its_explanations_when_its_time_is_over(database: Database) -> None:
    cases, engine = an_instance(database)
    await engine.run([opening(cases, 1, Concern.SELF_HELP), opening(cases, 2)])
    over = datetime.now(UTC) + KEPT + timedelta(minutes=1)

    assert await cases.forget(over - timedelta(minutes=5)) == 0
    assert await cases.forget(over) == 1
    assert [document["_id"] async for document in database[CASES].find()] == [derived_id("case", "2")]
    assert {why["case_id"] async for why in database[EXPLANATIONS].find()} == {derived_id("case", "2")}


async def test_recorded_cases_come_by_the_moment_they_were_received_wherever_it_was_written(
    database: Database,
) -> None:
    cases, engine = an_instance(database)
    moments = ["2026-01-01T00:30:00+02:00", "2025-12-31T23:00:00+00:00", "2026-06-30T22:00:00+00:00"]
    commands = [opening(cases, n, Concern.DEBT, datetime.fromisoformat(at)) for n, at in enumerate(moments)]
    await engine.run(commands)

    ids = [recorded.case["_id"] async for recorded in cases.recorded(date(2026, 1, 1), date(2026, 6, 30))]

    assert ids == [derived_id("case", "1")]


async def test_documents_without_the_new_fields_still_load(database: Database) -> None:
    cases, engine = an_instance(database)
    await engine.run([opening(cases, 1)])
    newer = [f"referrals.0.{name}" for name in ("clock", "by", "rules", "agreement", "waiting")]
    unset = dict.fromkeys((*newer, "facts.preferred_partners", "next_due", "open_with"), "")
    await database[CASES].update_one({}, {"$unset": unset, "$set": {"referrals.0.declined": None}})

    case = await found(cases, derived_id("case", "1"))

    said = ReplyDeclined(referral_id=case.referrals[0].id, reason=DeclineReason.OTHER)
    await engine.run([command(cases, decline, said, said.referral_id, by="schuldnerberatung")])
    after = await found(cases, case.id)
    assert [referral.state.value for referral in after.referrals] == ["declined", "clearing"]


async def test_an_alert_does_not_lead_to_its_case(database: Database) -> None:
    cases, engine = an_instance(database)
    await engine.run([opening(cases, 1, Concern.MONEY_MANAGEMENT)])  # nobody takes it

    rows = {row["type"].split(".", 2)[2]: row async for row in database[OUTBOX].find()}
    alert, unplaced = rows["coverage.gap-found.v1"], rows["referral.unplaced.v1"]
    threads = ("stream", "correlation_id", "causation_id")
    assert [name for name in threads if alert[name] == unplaced[name]] == []
    assert alert["traceparent"].split("-")[1] != unplaced["traceparent"].split("-")[1]
    assert [rows["referral.unplaced.v1"]["sequence"], rows["case.progressed.v1"]["sequence"]] == [1, 2]


async def test_a_report_that_a_newer_version_wrote_holds_up_nobody(database: Database) -> None:
    cases, engine = an_instance(database)
    await limited(cases, engine, 3)
    await database[CAPACITIES].update_many({}, {"$set": {"status": "by_appointment"}})

    fresh, other = an_instance(database)
    [outcome], _ = await other.run([opening(fresh, 2)])

    assert isinstance(outcome, Done)
