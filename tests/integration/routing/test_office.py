"""The office clears its tasks over HTTP, and asks why a referral is where it is."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
from running_routing import Instance, Routing, a_case, a_concern, as_staff

from shared.contracts.base import new_id
from shared.contracts.codes import (
    AgeBand,
    CapacityStatus,
    ClarificationTopic,
    Concern,
    DeclineReason,
    LegalBasisKind,
    Municipality,
    Urgency,
)
from shared.contracts.intake import CaseOpened, LegalBasis
from shared.contracts.partners import CapacityReported, ReplyClarificationRequested, ReplyDeclined

ASK_AWO: Final = {"partner_id": "awo", "reason": "age_clarified"}


async def tasks(instance: Instance, **wanted: Any) -> list[dict[str, Any]]:
    answer = await instance.http.get("/v1/clearing", params=wanted)
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["tasks"]
    return listed


async def done(instance: Instance, what: str, task: str, said: dict[str, str]) -> dict[str, Any]:
    answer = await instance.http.post(f"/v1/clearing/{task}/{what}", json=said)
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def explained(instance: Instance, referral_id: str) -> dict[str, Any]:
    answer = await instance.http.get(f"/v1/referrals/{referral_id}/explanation")
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def a_task(routing: Routing, case: CaseOpened | None = None) -> str:
    """The id of the first task of a case."""
    case = case or a_case()
    await routing.hears(case)
    return next(task["referral_id"] for task in await tasks(routing.one) if task["case_id"] == case.case_id)


async def test_a_task_is_listed_in_codes_with_its_sentence(routing: Routing) -> None:
    case = a_case()
    await routing.hears(case)

    [task] = await tasks(routing.one)

    [concern] = case.concerns
    assert task["concerns"] == [
        {"concern_id": concern.concern_id, "code": "housing_search", "sub_topic": None, "age_band": "12-17"}
    ]
    assert (task["municipality"], task["languages"], task["urgency"]) == ("Hofheim am Taunus", ["ar"], "normal")
    assert (task["state"], task["reason"], task["claimed_by"], task["asked"]) == ("clearing", "office_task", None, [])
    assert task["sentence"].startswith("Für die Wohnungssuche ist nach der Vereinbarung vom 1. Juli 2017 ")


async def test_a_task_names_who_was_asked_before(routing: Routing) -> None:
    case = a_case(a_concern(Concern.DEBT))
    await routing.hears(case)
    [asked] = [row async for row in routing.database["outbox"].find({"topic": {"$regex": "^partner"}})]
    await routing.hears(
        ReplyDeclined(referral_id=asked["subject"], reason=DeclineReason.CAPACITY), by="schuldnerberatung"
    )

    [task] = await tasks(routing.one)

    assert (task["reason"], task["follows"]) == ("all_asked", asked["subject"])
    [before] = task["asked"]
    assert (before["partner_id"], before["state"], before["reason"]) == ("schuldnerberatung", "declined", "capacity")


async def test_of_two_people_at_two_instances_exactly_one_gets_the_task(routing: Routing) -> None:
    ids = [await a_task(routing) for _ in range(5)]

    async def claimed(instance: Instance, task: str, staff_id: str) -> httpx.Response:
        return await instance.http.post(f"/v1/clearing/{task}/claim", json={}, headers=as_staff(staff_id))

    answers = await asyncio.gather(
        *(claimed(routing.one, task, "office-1") for task in ids),
        *(claimed(routing.other, task, "office-2") for task in ids),
    )

    have = {task["referral_id"]: task["claimed_by"] for task in await tasks(routing.one)}
    for task, first, second in zip(ids, answers[:5], answers[5:], strict=True):
        won, lost = sorted((first, second), key=lambda answer: answer.status_code)
        assert (won.status_code, lost.status_code) == (200, 409)
        assert won.json()["claimed_by"] == have[task] == lost.json()["claimed_by"]
        assert lost.json()["type"].endswith(":claimed")


async def test_an_assigned_task_reaches_the_partners_queue_and_says_why(routing: Routing) -> None:
    task = await a_task(routing)
    await done(routing.one, "claim", task, {})

    view = await done(routing.one, "assign", task, ASK_AWO)

    assert (view["state"], view["partner_id"], view["claimed_by"]) == ("offered", "awo", "office-1")
    [offer] = await routing.told("partner.awo.referrals.v1", task)
    assert json.loads(offer["data"])["rules"] == ["by-hand"]
    why = await explained(routing.other, task)
    first, second = why["decisions"]
    assert (first["by"], first["unplaced"]) == ("agreement", "office_task")
    assert (second["by"], second["reason"], second["partner_id"]) == ("office", "age_clarified", "awo")
    assert view["sentence"] == why["sentence"]
    assert (
        "hat das Integrationsbüro den Partner Arbeiterwohlfahrt angefragt (das Alter wurde geklärt)" in view["sentence"]
    )
    assert await done(routing.other, "assign", task, ASK_AWO) == view
    assert len(await routing.told("partner.awo.referrals.v1", task)) == 1
    assert await tasks(routing.one) == []


async def test_an_assignment_whose_answer_was_lost_may_be_sent_again_after_the_partner_declined(
    routing: Routing,
) -> None:
    task = await a_task(routing)
    await done(routing.one, "claim", task, {})
    await done(routing.one, "assign", task, ASK_AWO)
    await routing.hears(ReplyDeclined(referral_id=task, reason=DeclineReason.CAPACITY), by="awo")

    view = await done(routing.other, "assign", task, ASK_AWO)

    assert (view["state"], view["partner_id"], view["claimed_by"]) == ("declined", "awo", "office-1")
    told = [row["type"] for row in await routing.told("partner.awo.referrals.v1", task)]
    assert told.count("de.integrationsbuero.referral.offered.v1") == 1
    [left] = await tasks(routing.one)
    assert (left["follows"], left["claimed_by"], left["claimed_at"]) == (task, None, None)


async def test_a_task_closed_unmet_releases_what_waited_for_it(routing: Routing) -> None:
    care = a_concern(Concern.CHILDCARE, AgeBand.TEENAGER)
    course = a_concern(Concern.INTEGRATION_COURSE, after=(care.concern_id,))
    case = a_case(care, course)
    task = await a_task(routing, case)
    [held] = [
        referral["id"]
        async for document in routing.database["cases"].find({"_id": case.case_id})
        for referral in document["referrals"]
        if referral["state"] == "held"
    ]
    waiting = await explained(routing.one, held)
    assert [concern["code"] for concern in waiting["waits_for"]] == ["childcare"]
    assert waiting["decisions"] == []
    assert "wenn das Anliegen Kinderbetreuung erledigt ist" in waiting["sentence"]

    await done(routing.one, "claim", task, {})
    view = await done(routing.one, "close", task, {"reason": "no_offer"})

    assert (view["state"], view["claimed_by"]) == ("closed", "office-1")
    assert view["sentence"].endswith("das Integrationsbüro hat die Anfrage geschlossen (es gibt kein Angebot).")
    assert await done(routing.one, "close", task, {"reason": "no_offer"}) == view
    told = [row["type"] async for row in routing.database["outbox"].find({"topic": "routing.referrals.v1"})]
    assert told.count("de.integrationsbuero.referral.closed-unmet.v1") == 1
    chain = (await explained(routing.one, held))["chain"]
    assert [(link["partner_id"], link["state"]) for link in chain] == [(None, "released"), ("vhs", "offered")]


async def test_the_office_answers_for_a_partner_that_asked_back(routing: Routing) -> None:
    await routing.hears(a_case(a_concern(Concern.DEBT)))
    [offer] = [row async for row in routing.database["outbox"].find({"topic": {"$regex": "^partner"}})]
    id_ = offer["subject"]
    url = f"/v1/referrals/{id_}/answer"
    assert (await routing.one.http.post(url)).status_code == 409
    asked = ReplyClarificationRequested(referral_id=id_, topic=ClarificationTopic.LANGUAGE)
    await routing.hears(asked, by="schuldnerberatung")

    for _ in range(2):
        answer = await routing.one.http.post(url)
        assert (answer.status_code, answer.json()["state"]) == (200, "offered")

    told = [row["type"] for row in await routing.told("partner.schuldnerberatung.referrals.v1", id_)]
    assert told.count("de.integrationsbuero.clarification.answered.v1") == 1


async def test_an_explanation_names_the_rules_and_takers_that_were_looked_at(routing: Routing) -> None:
    await routing.hears(a_case(a_concern(Concern.JOB_SEARCH)))
    [offer] = [row async for row in routing.database["outbox"].find({"topic": {"$regex": "^partner"}})]

    why = await explained(routing.one, offer["subject"].upper())

    [decision] = why["decisions"]
    assert (decision["agreement"], decision["by"], decision["partner_id"]) == ("2017-07-01", "agreement", "awo")
    [concern] = decision["concerns"]
    assert concern["rule"] == "awo-adults"
    assert {"rule": "awo-young-adults", "verdict": "age"} in concern["other_rules"]
    assert "awo-adults" not in [rule["rule"] for rule in concern["other_rules"]]
    assert concern["takers"] == [
        {"taker": "awo", "verdict": "asked", "status": "available", "places": None, "weeks": None, "load": None}
    ]
    assert "(Regel „awo-adults“); er hat bis zum " in why["sentence"]


def of_many_kinds() -> list[CaseOpened]:
    """Tasks that differ in everything the list filters by."""
    nothing = LegalBasis(kind=LegalBasisKind.NONE)
    return [
        a_case(),
        a_case(urgency=Urgency.URGENT),
        a_case(municipality=Municipality.EPPSTEIN, urgency=Urgency.SOON),
        a_case(a_concern(Concern.DEBT), a_concern(Concern.HOUSING_SEARCH, AgeBand.TEENAGER), legal_basis=nothing),
    ]


async def test_the_list_is_filtered(routing: Routing) -> None:
    usual, urgent, elsewhere, unlawful = cases = of_many_kinds()
    await routing.hears(*cases)
    [task] = [task for task in await tasks(routing.one) if task["case_id"] == usual.case_id]
    claimed = await done(routing.one, "claim", task["referral_id"], {})

    async def found(**wanted: Any) -> set[str]:
        return {task["case_id"] for task in await tasks(routing.one, **wanted)}

    ids = [case.case_id for case in cases]
    assert await found() == set(ids)
    assert await found(reason="no_legal_basis") == {unlawful.case_id}
    assert await found(code="debt") == {unlawful.case_id}
    assert [task["concerns"][0]["code"] for task in await tasks(routing.one, code="debt")] == ["debt"]
    assert await found(municipality="Eppstein") == {elsewhere.case_id}
    assert await found(urgency="urgent") == {urgent.case_id}
    assert await found(claimed_by="office-1") == {usual.case_id}
    assert await found(claimed_days=0) == {usual.case_id}
    assert await found(claimed_days=1) == set()
    [listed] = await tasks(routing.other, claimed_by="office-1")
    assert listed["claimed_at"] == claimed["claimed_at"] > listed["since"]
    assert await found(unclaimed=True) == {*ids} - {usual.case_id}
    assert await found(claimed_by="office-1", unclaimed=True) == set()
    assert await found(municipality="Kriftel") == set()


async def pages(instance: Instance, **wanted: Any) -> AsyncIterator[list[dict[str, Any]]]:
    cursor = None
    while True:
        answer = (
            await instance.http.get("/v1/clearing", params=wanted | ({"cursor": cursor} if cursor else {}))
        ).json()
        yield answer["tasks"]
        if (cursor := answer["next"]) is None:
            return


@pytest.mark.parametrize("sort", ["oldest", "urgency"])
async def test_pages_hold_each_task_once_while_others_come_and_go(routing: Routing, sort: str) -> None:
    kinds = [Urgency.NORMAL, Urgency.URGENT, Urgency.SOON]
    cases = [a_case(urgency=kinds[number % 3]) for number in range(12)]
    await routing.hears(*cases[:6])  # at the same moment: only their ids tell them apart
    await routing.hears(*cases[6:])
    listed = await tasks(routing.one, sort=sort)
    gone = listed[1]["referral_id"], listed[7]["referral_id"]
    seen: list[dict[str, Any]] = []

    async for page in pages(routing.one, sort=sort, limit=2):
        seen += page
        if len(seen) == 2:
            await routing.hears(a_case(urgency=Urgency.NORMAL))
            for id_ in gone:
                await done(routing.other, "claim", id_, {})
                await done(routing.other, "close", id_, {"reason": "not_wanted"})

    stayed = [task["referral_id"] for task in listed if task["referral_id"] != gone[1]]
    assert [task["referral_id"] for task in seen][: len(stayed)] == stayed
    assert len(seen) == len(stayed) + 1
    order = [["urgent", "soon", "normal"].index(task["urgency"]) for task in seen]
    assert (order == sorted(order)) is (sort == "urgency")


async def test_a_cursor_of_another_order_is_refused(routing: Routing) -> None:
    await routing.hears(a_case(), a_case())
    page = (await routing.one.http.get("/v1/clearing", params={"limit": 1})).json()

    refused = await routing.one.http.get("/v1/clearing", params={"cursor": page["next"], "sort": "urgency"})

    assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (422, "cursor")


async def test_what_the_partners_reported_is_listed(routing: Routing) -> None:
    report = CapacityReported(partner_id="awo", code=Concern.CHILDCARE, status=CapacityStatus.LIMITED, places=3)
    await routing.hears(report, by="awo")

    [capacity] = (await routing.one.http.get("/v1/capacities")).json()["capacities"]

    assert (capacity["partner_id"], capacity["code"]) == ("awo", "childcare")
    assert (capacity["status"], capacity["places"], capacity["weeks"]) == ("limited", 3, None)
    assert capacity["reported_at"] < capacity["expires_at"]


@pytest.mark.parametrize(
    "wanted",
    [
        {"reason": "bad_mood"},
        {"code": "asylum"},
        {"municipality": "Wiesbaden"},
        {"urgency": "very"},
        {"claimed_by": "two words"},
        {"claimed_days": -1},
        {"sort": "name"},
        {"limit": 0},
        {"limit": 101},
        {"cursor": ""},
        {"cursor": "0x"},
        {"cursor": "9MjAyNi0xMS0yM1QwOTowMDowMCswMDowMCAx"},
    ],
)
async def test_a_bad_parameter_is_named(routing: Routing, wanted: dict[str, str]) -> None:
    answer = await routing.one.http.get("/v1/clearing", params=wanted)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"].removeprefix("query.") in wanted


@pytest.mark.parametrize(
    ("what", "said", "where"),
    [
        ("claim", {"staff_id": "office-2"}, "/staff_id"),
        ("claim", {"instead_of": "Frau Müller"}, "/instead_of"),
        ("claim", {"note": "call back"}, "/note"),
        ("assign", {"partner_id": "AWO!", "reason": "other"}, "/partner_id"),
        ("assign", {"partner_id": "awo", "reason": "I know them"}, "/reason"),
        ("close", {"reason": ""}, "/reason"),
        ("assign", ["office-1"], ""),
    ],
)
async def test_a_bad_body_is_named(routing: Routing, what: str, said: Any, where: str) -> None:
    answer = await routing.one.http.post(f"/v1/clearing/{new_id()}/{what}", json=said)

    assert answer.status_code == 422
    assert where in [error["pointer"] for error in answer.json()["errors"]]


async def test_what_is_unknown_or_not_possible_is_refused_by_name(routing: Routing) -> None:
    task = await a_task(routing, a_case(excluded_partners=("awo",)))
    http = routing.one.http

    for url in (f"/v1/clearing/{new_id()}/claim", "/v1/clearing/%00/claim", "/v1/clearing/a%2Fb/claim"):
        assert (await http.post(url, json={})).status_code == 404
    assert (await http.get(f"/v1/referrals/{new_id()}/explanation")).status_code == 404
    refused = (await http.post(f"/v1/clearing/{task}/assign", json=ASK_AWO)).json()
    assert (refused["type"].rpartition(":")[2], refused["status"]) == ("not-claimed", 409)
    await done(routing.one, "claim", task, {})
    refused = (await http.post(f"/v1/clearing/{task}/assign", json=ASK_AWO)).json()
    assert (refused["type"].rpartition(":")[2], refused["status"]) == ("partner-not-possible", 422)
    assert (refused["reason"], refused["state"]) == ("excluded_by_wish", "clearing")
    assert await routing.told("partner.awo.referrals.v1", task) == []


async def test_nobody_without_the_token_is_let_in(routing: Routing) -> None:
    transport = httpx.ASGITransport(routing.one.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://routing") as stranger:
        for url in ("/v1/clearing", "/v1/capacities", f"/v1/referrals/{new_id()}/explanation"):
            assert (await stranger.get(url)).status_code == 401
        for url in (*(f"/v1/clearing/x/{what}" for what in ("claim", "assign")), "/v1/referrals/x/answer"):
            assert (await stranger.post(url, json={})).status_code == 401
