"""Notes about a case are kept once and in one place, and nobody is told."""

import asyncio
from typing import Any

import httpx
import pytest
from running_intake import Intake, as_the_office
from sample_bodies import a_body, a_reference

from shared.contracts.base import new_id

SECRET = "KANARI-000-Weidenkätzchen"


def a_note(**said: Any) -> dict[str, Any]:
    return {"text": "ruft morgen wieder an", **said}


async def a_case(intake: Intake) -> str:
    """The path of its notes."""
    return f"/v1/cases/{(await intake.http.post('/v1/cases', json=a_body())).json()['case_id']}/notes"


async def texts(intake: Intake, path: str) -> list[str]:
    return [note["text"] for note in (await intake.http.get(path)).json()["notes"]]


async def test_a_note_is_kept_as_it_was_written(intake: Intake) -> None:
    path, referral_id = await a_case(intake), new_id()

    answer = await intake.http.post(path, json=a_note(text="Zeile 1\nZeile 2", referral_id=referral_id))

    assert answer.status_code == 201
    assert (await intake.http.get(path)).json() == {
        "notes": [{**answer.json(), "staff_id": "fd-001", "referral_id": referral_id, "text": "Zeile 1\nZeile 2"}],
        "next": None,
    }


async def test_notes_come_newest_last_page_by_page(intake: Intake) -> None:
    path = await a_case(intake)
    for number in range(5):
        await intake.http.post(path, json=a_note(text=str(number)))

    pages, cursor = [], None
    while True:
        page = (await intake.http.get(path, params={"limit": "2"} | ({"cursor": cursor} if cursor else {}))).json()
        pages.append([note["text"] for note in page["notes"]])
        cursor = page["next"]
        if cursor is None:
            break

    assert pages == [["0", "1"], ["2", "3"], ["4"]]


async def test_a_note_is_in_one_place_and_nobody_is_told(intake: Intake, capfd: pytest.CaptureFixture[str]) -> None:
    path = await a_case(intake)
    told = await intake.database["outbox"].count_documents({})

    await intake.http.post(path, json=a_note(text=SECRET), headers={"Idempotency-Key": a_reference()})

    stored = await intake.stored()
    assert [name for name, documents in stored.items() if SECRET in str(documents)] == ["notes"]
    assert len(stored["outbox"]) == told
    assert SECRET not in (await intake.http.get(path.removesuffix("/notes"))).text
    logged = capfd.readouterr().out
    assert "request_answered" in logged
    assert SECRET not in logged


async def test_the_same_key_is_the_same_note(intake: Intake) -> None:
    path, headers = await a_case(intake), {"Idempotency-Key": a_reference()}

    answers = await asyncio.gather(*(intake.http.post(path, json=a_note(), headers=headers) for _ in range(20)))
    again = await intake.http.post(path, json=a_note(), headers=headers)
    other = await intake.http.post(path, json=a_note(text=SECRET), headers=headers)
    colleague = await intake.http.post(path, json=a_note(text="erreicht"), headers=headers | as_the_office("fd-002"))

    assert {answer.status_code for answer in (*answers, again, colleague)} == {201}
    assert {answer.text for answer in answers} == {again.text}
    assert other.status_code == 422
    assert other.json()["errors"][0]["parameter"] == "Idempotency-Key"
    assert SECRET not in other.text
    assert await texts(intake, path) == ["ruft morgen wieder an", "erreicht"]


async def test_a_key_is_for_one_case(intake: Intake) -> None:
    headers = {"Idempotency-Key": a_reference()}

    for path in (await a_case(intake), await a_case(intake)):
        assert (await intake.http.post(path, json=a_note(), headers=headers)).status_code == 201
        assert len(await texts(intake, path)) == 1


async def test_all_who_write_at_once_are_heard(intake: Intake) -> None:
    path = await a_case(intake)
    case_path = path.removesuffix("/notes")

    answers = await asyncio.gather(
        *(intake.http.post(path, json=a_note(text=str(number))) for number in range(20)),
        intake.http.post(f"{case_path}/amend", json={"urgency": "urgent"}),
    )

    assert {answer.status_code for answer in answers} == {200, 201}
    assert sorted(await texts(intake, path), key=int) == [str(number) for number in range(20)]
    assert (await intake.http.get(case_path)).json()["urgency"] == "urgent"


async def test_a_withdrawn_case_may_be_noted_about(intake: Intake) -> None:
    path = await a_case(intake)
    await intake.http.post(path.replace("/notes", "/withdraw"), json={"reason": "by_person"})

    assert (await intake.http.post(path, json=a_note())).status_code == 201


async def test_an_unknown_case_has_no_notes(intake: Intake) -> None:
    path, headers = f"/v1/cases/{new_id()}/notes", {"Idempotency-Key": a_reference()}

    answers = [await intake.http.get(path), await intake.http.post(path, json=a_note())]
    answers += [await intake.http.post(path, json=a_note(), headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert await intake.database["notes"].count_documents({"case_id": path.split("/")[3]}) == 0


@pytest.mark.parametrize(
    ("said", "pointer"),
    [
        ({"text": None}, "/text"),
        ({"text": ""}, "/text"),
        ({"text": " \n "}, "/text"),
        ({"text": "x" * 20_001}, "/text"),
        ({"text": f"{SECRET}\x00"}, "/text"),
        ({"staff_id": "fd-002"}, "/staff_id"),
        ({"referral_id": SECRET}, "/referral_id"),
        ({"author": SECRET}, "/author"),
    ],
)
async def test_a_note_that_is_none_is_refused(intake: Intake, said: dict[str, Any], pointer: str) -> None:
    path = await a_case(intake)
    before = await intake.stored()

    answer = await intake.http.post(path, json=a_note(**said), headers={"Idempotency-Key": a_reference()})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert SECRET not in answer.text
    assert await intake.stored() == before


async def test_what_is_wrong_beside_the_body_is_named(intake: Intake) -> None:
    path = await a_case(intake)

    def named(answer: httpx.Response) -> tuple[int, str]:
        return answer.status_code, answer.json()["errors"][0]["parameter"]

    key = {"Idempotency-Key": "two words"}
    assert named(await intake.http.post(path, json=a_note(), headers=key)) == (422, "Idempotency-Key")
    assert named(await intake.http.get(path, params={"cursor": "x"})) == (422, "cursor")
    assert named(await intake.http.get(path, params={"limit": "0"})) == (422, "limit")
