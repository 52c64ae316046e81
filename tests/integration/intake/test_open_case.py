"""A case is taken in once, however often it is sent."""

import asyncio
import json

import pytest
from running_intake import Intake, as_the_office
from sample_bodies import a_body, a_person, a_reference


async def test_idempotency_keys_and_their_answers_are_kept_for_a_day(intake: Intake) -> None:
    indexes = await intake.database["requests"].index_information()

    [kept] = [index for index in indexes.values() if "expireAfterSeconds" in index]
    assert (kept["key"], kept["expireAfterSeconds"]) == ([("at", 1)], 24 * 60 * 60)


async def test_a_case_is_stored_with_its_event_and_shown(intake: Intake) -> None:
    response = await intake.http.post("/v1/cases", json=a_body(source_reference=a_reference(), free_text="KANARI"))

    case_id = response.json()["case_id"]
    assert response.status_code == 201
    assert response.headers["location"] == f"/v1/cases/{case_id}"
    shown = (await intake.http.get(f"/v1/cases/{case_id}")).json()
    assert [concern["state"] for concern in shown["concerns"]] == ["received"]
    [row] = await intake.database["outbox"].find({"stream": case_id}).to_list(None)
    assert row["type"] == "de.integrationsbuero.case.opened.v1"
    assert "Olena" not in json.dumps(row, default=str)
    case = await intake.database["cases"].find_one({"_id": case_id})
    assert "Olena" not in str(case)
    assert "KANARI" not in str(case)
    [person] = await intake.database["persons"].find({"case_id": case_id}).to_list(None)
    assert (person["identity"]["given_name"], person["notes"]["free_text"]) == ("Olena", "KANARI")


@pytest.mark.parametrize("by", ["key", "reference", "both"])
async def test_the_same_request_gets_the_same_answer(intake: Intake, by: str) -> None:
    headers = {"Idempotency-Key": a_reference()} if by != "reference" else {}
    body = a_body(source_reference=a_reference()) if by != "key" else a_body()

    first = await intake.http.post("/v1/cases", json=body, headers=headers)
    again = await intake.http.post("/v1/cases", json=dict(reversed(body.items())), headers=headers)
    other = await intake.http.post("/v1/cases", json={**body, "urgency": "urgent"}, headers=headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert other.status_code == 422
    assert other.json()["type"] == "urn:integrationsbuero:problem:used-before"
    case_id = first.json()["case_id"]
    assert await intake.database["outbox"].count_documents({"stream": case_id}) == 1


async def test_a_key_that_came_with_a_known_reference_is_remembered(intake: Intake) -> None:
    headers = {"Idempotency-Key": a_reference()}
    known, other = a_body(source_reference=a_reference()), a_body(source_reference=a_reference())

    first = await intake.http.post("/v1/cases", json=known)
    again = [await intake.http.post("/v1/cases", json=known, headers=headers) for _ in range(2)]
    misused = await intake.http.post("/v1/cases", json=other, headers=headers)

    assert [answer.json() for answer in again] == [first.json()] * 2
    assert misused.status_code == 422
    assert misused.json()["errors"][0]["parameter"] == "Idempotency-Key"
    assert await intake.database["cases"].count_documents({"source_reference": other["source_reference"]}) == 0


async def test_a_key_is_its_caller_s_own(intake: Intake) -> None:
    headers = {"Idempotency-Key": a_reference()}

    first = await intake.http.post("/v1/cases", json=a_body(), headers=headers)
    other = await intake.http.post("/v1/cases", json=a_body(urgency="soon"), headers=headers | as_the_office("fd-002"))

    assert other.status_code == 201
    assert other.json()["case_id"] != first.json()["case_id"]


async def test_a_reference_is_its_organisation_s_own(intake: Intake) -> None:
    reference = a_reference()
    jugendamt = {"organisation": "Jugendamt", "staff_id": "sw-001"}

    first = await intake.http.post("/v1/cases", json=a_body(source_reference=reference))
    other = await intake.http.post("/v1/cases", json=a_body(source_reference=reference, referrer=jugendamt))

    assert other.status_code == 201
    assert other.json()["case_id"] != first.json()["case_id"]


async def test_fifty_at_once_are_one_case(intake: Intake) -> None:
    body = a_body(source_reference=a_reference())

    answers = await asyncio.gather(*(intake.http.post("/v1/cases", json=body) for _ in range(50)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["case_id"] for answer in answers}) == 1
    assert await intake.database["cases"].count_documents({"source_reference": body["source_reference"]}) == 1


async def test_a_household_is_one_record_a_person(intake: Intake) -> None:
    persons = [a_person(), a_person("p2", "child", given_name="Taras", birth_date="2015-06-01")]

    answer = (await intake.http.post("/v1/cases", json=a_body(persons=persons))).json()

    ids = {person["ref"]: person["person_id"] for person in answer["persons"]}
    stored = await intake.database["persons"].find({"case_id": answer["case_id"]}).to_list(None)
    assert {record["_id"]: record["household"]["relation"] for record in stored} == {
        ids["p1"]: "self",
        ids["p2"]: "child",
    }


async def test_a_key_that_is_no_key_is_refused(intake: Intake) -> None:
    response = await intake.http.post("/v1/cases", json=a_body(), headers={"Idempotency-Key": "two words"})

    assert response.status_code == 422
    assert response.json()["errors"][0]["parameter"] == "Idempotency-Key"
