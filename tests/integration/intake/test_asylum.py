"""Whoever asks about asylum is pointed to the own social worker, and nothing of the question stays."""

from typing import Any

from running_intake import Intake
from sample_bodies import a_body, a_concern, a_reference

from shared.contracts.base import new_id

SECRET = "Dublin-Bescheid"
ASKED = a_concern("asylum", note=SECRET)


def without_counters(stored: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: documents for name, documents in stored.items() if name != "counters"}


async def redirected(intake: Intake) -> int:
    return sum([document["count"] async for document in intake.database["counters"].find()])


async def test_an_asylum_question_alone_leaves_a_counter_only(intake: Intake) -> None:
    before, counted = await intake.stored(), await redirected(intake)
    body = a_body(concerns=[ASKED], source_reference=a_reference(), free_text=SECRET)

    for _ in range(2):
        response = await intake.http.post("/v1/cases", json=body, headers={"Idempotency-Key": a_reference()})

        assert response.status_code == 200
        assert response.json()["case_id"] is None
        assert response.json()["redirected"]["to"] == "own_social_worker"
    assert without_counters(await intake.stored()) == without_counters(before)
    assert await redirected(intake) == counted + 2


async def test_the_rest_of_a_case_goes_on(intake: Intake) -> None:
    counted = await redirected(intake)
    basis = {"kind": "consent", "covers_concerns": ["asylum", "debt"]}
    rest = a_body(concerns=[a_concern("debt")], legal_basis=basis, source_reference=a_reference())
    asked = {**rest, "concerns": [ASKED, *rest["concerns"]], "free_text": SECRET}

    first = await intake.http.post("/v1/cases", json=asked)
    again = await intake.http.post("/v1/cases", json=asked)
    without = await intake.http.post("/v1/cases", json=rest)

    assert first.status_code == 201
    assert first.json() == again.json()
    assert first.json()["redirected"]["concern"] == "asylum"
    assert [concern["code"] for concern in first.json()["concerns"]] == ["debt"]
    assert without.json() == {name: value for name, value in first.json().items() if name != "redirected"}
    assert await redirected(intake) == counted + 1
    kept = str(without_counters(await intake.stored()))
    assert SECRET not in kept
    assert "asylum" not in kept


async def test_what_was_to_wait_for_an_asylum_question_waits_no_more(intake: Intake) -> None:
    asked = a_body(concerns=[{**ASKED, "ref": "a"}, a_concern("debt", after=["a"])], source_reference=a_reference())

    answer = await intake.http.post("/v1/cases", json=asked)
    plain = await intake.http.post("/v1/cases", json={**asked, "concerns": [a_concern("debt")]})

    assert answer.status_code == 201
    assert plain.json() == {name: value for name, value in answer.json().items() if name != "redirected"}
    [concern] = (await intake.http.get(f"/v1/cases/{answer.json()['case_id']}")).json()["concerns"]
    assert concern["after"] == []


async def test_an_amendment_asks_in_vain_as_well(intake: Intake) -> None:
    case_id = (await intake.http.post("/v1/cases", json=a_body())).json()["case_id"]
    before = await intake.stored()

    response = await intake.http.post(f"/v1/cases/{case_id}/amend", json={"concerns": [ASKED]})

    assert response.status_code == 200
    assert response.json()["redirected"]["to"] == "own_social_worker"
    assert [concern["code"] for concern in response.json()["concerns"]] == ["german_course"]
    assert without_counters(await intake.stored()) == without_counters(before)


async def test_whoever_amends_in_vain_is_pointed_elsewhere_all_the_same(intake: Intake) -> None:
    case_id = (await intake.http.post("/v1/cases", json=a_body())).json()["case_id"]
    await intake.http.post(f"/v1/cases/{case_id}/withdraw", json={"reason": "by_person"})
    counted = await redirected(intake)

    for id_, status in ((case_id, 409), (new_id(), 404)):
        answer = await intake.http.post(f"/v1/cases/{id_}/amend", json={"concerns": [ASKED]})
        other = await intake.http.post(f"/v1/cases/{id_}/amend", json={"urgency": "soon"})

        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert answer.json()["redirected"]["to"] == "own_social_worker"
        assert "redirected" not in other.json()
    assert await redirected(intake) == counted + 2
