"""After a case was opened: looked up, listed, amended, withdrawn, and read by those who write messages."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from running_intake import Intake
from sample_bodies import a_body, a_concern, a_person, a_reference
from signing import signed

from services.intake.handlers import on_case_progressed
from shared.contracts.base import new_id
from shared.contracts.codes import CaseState, ReferralState
from shared.contracts.routing import CaseProgressed, Standing
from shared.envelope import Cause
from shared.pipeline.decisions import Command, Received
from shared.web.roles import Role

STAFF = ["referrer.staff_id", "referrer.organisation"]


async def opened(intake: Intake, **said: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await intake.http.post("/v1/cases", json=a_body(**said))).json()
    return answer


async def events_of(intake: Intake, case_id: str) -> list[str]:
    rows = intake.database["outbox"].find({"stream": case_id}).sort("sequence")
    return [row["type"].split(".")[-2] async for row in rows]


async def progress(intake: Intake, case: dict[str, Any], sequence: int, state: str) -> None:
    standing = Standing(
        referral_id=new_id(),
        partner_id="vhs",
        state=ReferralState(state),
        concerns=(case["concerns"][0]["concern_id"],),
        since=datetime.now(UTC),
        appointment_at=datetime(2026, 12, 1, 9, tzinfo=UTC),
    )
    event = CaseProgressed(case_id=case["case_id"], state=CaseState.PARTLY_SETTLED, standings=(standing,))
    received = Received(event, Cause.begin(), sequence, "routing.referrals.v1", 0, sequence)
    await intake.engine.run(
        [Command(case["case_id"], received.cause, lambda known, now: on_case_progressed(received, known, now))]
    )


async def test_what_became_of_a_concern_is_shown(intake: Intake) -> None:
    case = await opened(intake)

    await progress(intake, case, 2, "scheduled")
    await progress(intake, case, 1, "offered")

    shown = (await intake.http.get(f"/v1/cases/{case['case_id']}")).json()
    [concern] = shown["concerns"]
    assert shown["state"] == "partly_settled"
    assert (concern["overdue"], concern["outcome"], concern["sheet"]) == (False, None, None)
    assert (concern["state"], concern["partner_id"]) == ("scheduled", "vhs")
    assert concern["appointment_at"] == "2026-12-01T09:00:00.000Z"


async def test_an_unknown_case_is_not_found(intake: Intake) -> None:
    unknown = new_id()

    answers = [
        await intake.http.get(f"/v1/cases/{unknown}"),
        await intake.http.post(f"/v1/cases/{unknown}/amend", json={"urgency": "soon"}),
        await intake.http.post(f"/v1/cases/{unknown}/withdraw", json={"reason": "by_person"}),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]


async def test_my_cases_come_newest_first_page_by_page(intake: Intake) -> None:
    staff = a_reference()
    ids = []
    for day in (3, 1, 5, 4, 2):
        body = a_body(
            channel="import",
            received_at=(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day)).isoformat(),
            referrer={"organisation": "Jobcenter", "staff_id": staff},
        )
        ids.append((await intake.http.post("/v1/cases", json=body)).json()["case_id"])

    pages, cursor = [], None
    while True:
        query = {"referrer": staff, "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await intake.http.get("/v1/cases", params=query)).json()
        pages.append([case["case_id"] for case in page["cases"]])
        cursor = page["next"]
        if cursor is None:
            break

    assert pages == [[ids[2], ids[3]], [ids[0], ids[4]], [ids[1]]]


async def test_a_case_is_found_by_the_sender_s_reference(intake: Intake) -> None:
    reference = a_reference()
    case = await opened(intake, source_reference=reference)

    found = (await intake.http.get("/v1/cases", params={"source_reference": reference})).json()

    assert [shown["case_id"] for shown in found["cases"]] == [case["case_id"]]


async def test_staff_ids_are_their_organisation_s_own(intake: Intake) -> None:
    staff = a_reference()
    ids = {
        organisation: (await opened(intake, referrer={"organisation": organisation, "staff_id": staff}))["case_id"]
        for organisation in ("Jobcenter", "Jugendamt")
    }

    async def listed(**query: str) -> set[str]:
        found = (await intake.http.get("/v1/cases", params={"referrer": staff, **query})).json()
        return {shown["case_id"] for shown in found["cases"]}

    assert await listed() == set(ids.values())
    assert await listed(organisation="Jugendamt") == {ids["Jugendamt"]}
    indexes = await intake.database["cases"].index_information()
    assert any([field for field, _ in index["key"]][:2] == STAFF for index in indexes.values())


async def test_a_case_id_may_be_written_in_capitals(intake: Intake) -> None:
    case_id = (await opened(intake))["case_id"]
    path = f"/v1/cases/{case_id.upper()}"

    answers = [
        await intake.http.get(path),
        await intake.http.post(f"{path}/amend", json={"urgency": "soon"}),
        await intake.http.post(f"{path}/withdraw", json={"reason": "by_person"}),
    ]

    assert [answer.json()["case_id"] for answer in answers] == [case_id] * 3


async def test_a_note_to_a_known_concern_is_kept_in_the_vault(intake: Intake) -> None:
    case = await opened(intake)
    change = {"concerns": [a_concern(note="nur abends")]}

    for _ in range(2):
        assert (await intake.http.post(f"/v1/cases/{case['case_id']}/amend", json=change)).status_code == 200

    [person] = await intake.database["persons"].find({"case_id": case["case_id"]}).to_list(None)
    assert person["notes"]["concerns"] == {case["concerns"][0]["concern_id"]: "nur abends"}
    assert await events_of(intake, case["case_id"]) == ["opened"]


async def test_the_methods_of_a_path_are_all_named(intake: Intake) -> None:
    assert (await intake.http.put("/v1/cases")).headers["allow"] == "GET, POST"


async def test_a_list_of_everything_is_refused(intake: Intake) -> None:
    for query in ({}, {"referrer": "sw-001", "limit": "1000"}, {"referrer": "sw-001", "cursor": "x"}):
        assert (await intake.http.get("/v1/cases", params=query)).status_code == 422


async def test_a_case_is_amended_once_and_withdrawn_once(intake: Intake) -> None:
    case_id = (await opened(intake))["case_id"]
    change = {"municipality": "Kriftel", "concerns": [a_concern("debt")], "contact": {"email": "olena@example.org"}}

    for _ in range(2):
        amended = await intake.http.post(f"/v1/cases/{case_id}/amend", json=change)
        assert amended.status_code == 200
    for _ in range(2):
        withdrawn = await intake.http.post(f"/v1/cases/{case_id}/withdraw", json={"reason": "by_person"})
        assert withdrawn.json()["withdrawn"]["reason"] == "by_person"
    late = await intake.http.post(f"/v1/cases/{case_id}/amend", json={"urgency": "soon"})

    assert amended.json()["municipality"] == "Kriftel"
    assert [concern["code"] for concern in amended.json()["concerns"]] == ["german_course", "debt"]
    assert await events_of(intake, case_id) == ["opened", "amended", "withdrawn"]
    assert late.status_code == 409
    assert late.headers["content-type"] == "application/problem+json"


async def test_an_amendment_that_does_not_fit_is_named(intake: Intake) -> None:
    case_id = (await opened(intake))["case_id"]

    for change, pointer in (
        ({}, ""),
        ({"municipality": "Frankfurt"}, "/municipality"),
        ({"legal_basis": {"kind": "consent", "covers_partners": ["olena"]}}, "/legal_basis/covers_partners/0"),
        ({"concerns": [a_concern(for_person="p9")]}, "/concerns/0/for_person"),
        ({"concerns": [a_concern("debt"), a_concern("debt")]}, "/concerns/1"),
        ({"concerns": [a_concern("debt", after=[new_id()])]}, "/concerns/0/after/0"),
        ({"preferred_partners": ["olena"]}, "/preferred_partners/0"),
        ({"preferred_partners": ["awo"], "excluded_partners": ["awo"]}, "/preferred_partners/0"),
    ):
        answer = await intake.http.post(f"/v1/cases/{case_id}/amend", json=change)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert await events_of(intake, case_id) == ["opened"]


async def facts_of(intake: Intake, case_id: str) -> list[dict[str, Any]]:
    rows = intake.database["outbox"].find({"stream": case_id}).sort("sequence")
    return [json.loads(row["data"]) async for row in rows]


async def test_what_routing_must_know_travels_and_is_kept(intake: Intake) -> None:
    persons = [a_person(target_groups=["refugee"]), a_person("p2", "child")]
    concerns = [a_concern("integration_course", after=["care"]), a_concern("childcare", "p2", ref="care")]
    case = await opened(
        intake,
        persons=persons,
        concerns=concerns,
        wishes=["not_denominational"],
        preferred_partners=["vhs"],
        excluded_partners=["awo"],
    )
    path, care = f"/v1/cases/{case['case_id']}", case["concerns"][1]["concern_id"]
    change = {
        "concerns": [a_concern("self_help", sub_topic="health", after=[care])],
        "preferred_partners": ["awo"],
        "excluded_partners": [],
    }

    answers = [await intake.http.post(f"{path}/amend", json=change) for _ in range(2)]

    assert case["concerns"][1]["ref"] == "care"
    assert answers[0].json() == answers[1].json() == (await intake.http.get(path)).json()
    assert [concern["after"] for concern in answers[0].json()["concerns"]] == [[care], [], [care]]
    first, second = await facts_of(intake, case["case_id"])
    assert (first["preferred_partners"], first["excluded_partners"]) == (["vhs"], ["caritas", "diakonie", "awo"])
    assert (second["preferred_partners"], second["excluded_partners"]) == (["awo"], ["caritas", "diakonie"])
    assert [concern["target_groups"] for concern in second["concerns"]] == [["refugee"], [], ["refugee"]]
    assert [concern["after"] for concern in second["concerns"]] == [[care], [], [care]]


async def names(intake: Intake, ids: list[str], role: Role) -> httpx.Response:
    return await intake.http.post("/v1/persons:batchGet", json={"person_ids": ids}, headers=signed(role))


async def test_names_are_read_by_services_only(intake: Intake) -> None:
    contact = {"phone": "0171 3920067", "email": "olena@example.org", "may_contact_by": ["email"]}
    persons = [a_person(family_name="Kovalenko"), a_person("p2", "child")]
    case = await opened(intake, persons=persons, contact=contact, languages={"first": "uk"})
    ids = [person["person_id"] for person in case["persons"]]
    await intake.http.post(
        f"/v1/cases/{case['case_id']}/amend", json={"contact": {**contact, "email": "new@example.org"}}
    )

    answer = await names(intake, [*ids, new_id()], Role.SERVICE)

    by_id = {person["person_id"]: person for person in answer.json()["persons"]}
    assert set(by_id) == set(ids)
    assert by_id[ids[0]] == {
        "person_id": ids[0],
        "given_name": "Olena",
        "family_name": "Kovalenko",
        "phone": "0171 3920067",
        "email": "new@example.org",
        "may_contact_by": ["email"],
        "languages": ["uk"],
    }
    for role in set(Role) - {Role.SERVICE}:
        refused = await names(intake, ids, role)
        assert refused.status_code == 403
        assert "Olena" not in refused.text


async def test_no_more_than_five_hundred_names_at_once(intake: Intake) -> None:
    assert (await names(intake, [new_id() for _ in range(501)], Role.SERVICE)).status_code == 422
