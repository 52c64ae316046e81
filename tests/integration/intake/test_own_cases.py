"""A social worker sends in their own name, and meets nobody else's cases."""

from typing import Any

import httpx
import pytest
from running_intake import Intake
from sample_bodies import a_body, a_reference
from signing import ORGANISATION, signed

from shared.contracts.base import new_id
from shared.web.roles import Role

MINE = {"organisation": ORGANISATION, "staff_id": "sw-mine"}
OTHERS = (
    {"organisation": ORGANISATION, "staff_id": "sw-other"},
    {"organisation": "Jugendamt", "staff_id": "sw-mine"},
    None,
)


def as_me() -> dict[str, str]:
    return signed(Role.SOCIAL_WORKER, Role.COORDINATOR, sub="sw-mine")


async def sent(intake: Intake, headers: dict[str, str], **said: Any) -> httpx.Response:
    return await intake.http.post("/v1/cases", json=a_body(**said), headers=headers)


async def test_who_sends_a_case_is_who_signed_in(intake: Intake) -> None:
    for referrer in (None, MINE):
        answer = await sent(intake, as_me(), referrer=referrer)

        assert answer.status_code == 201
        path = answer.headers["Location"]
        assert (await intake.http.get(path)).json()["referrer"] == MINE
        assert (await intake.http.get(path, headers=as_me())).status_code == 200


@pytest.mark.parametrize("referrer", OTHERS[:2])
async def test_nobody_sends_in_another_s_name(intake: Intake, referrer: dict[str, str]) -> None:
    before = await intake.stored()

    answer = await sent(intake, as_me(), referrer=referrer)

    assert (answer.status_code, answer.json()["type"]) == (403, "urn:integrationsbuero:problem:not-yours")
    assert answer.json()["errors"][0]["pointer"] == "/referrer"
    assert await intake.stored() == before


@pytest.mark.parametrize("referrer", OTHERS)
async def test_a_case_of_somebody_else_is_unknown(intake: Intake, referrer: dict[str, str] | None) -> None:
    path = (await sent(intake, {}, referrer=referrer)).headers["Location"]
    before = await intake.stored()

    answers = [
        await intake.http.get(path, headers=as_me()),
        await intake.http.post(f"{path}/amend", json={"urgency": "soon"}, headers=as_me()),
        await intake.http.post(f"{path}/withdraw", json={"reason": "by_sender"}, headers=as_me()),
        await intake.http.post(f"{path}/notes", json={"text": "a"}, headers=as_me()),
        await intake.http.get(f"{path}/notes", headers=as_me()),
    ]
    unknown = await intake.http.get(f"/v1/cases/{new_id()}", headers=as_me())

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["type"] for answer in answers} == {unknown.json()["type"]}
    assert await intake.stored() == before


async def test_one_s_own_case_may_be_changed_and_noted_about(intake: Intake) -> None:
    path = (await sent(intake, as_me(), referrer=None)).headers["Location"]

    answers = [
        await intake.http.post(f"{path}/amend", json={"urgency": "soon"}, headers=as_me()),
        await intake.http.post(f"{path}/notes", json={"text": "a"}, headers=as_me()),
        await intake.http.post(f"{path}/withdraw", json={"reason": "by_sender"}, headers=as_me()),
    ]

    assert [answer.status_code for answer in answers] == [200, 201, 200]
    [note] = (await intake.http.get(f"{path}/notes", headers=as_me())).json()["notes"]
    assert note["staff_id"] == "sw-mine"


async def test_the_list_holds_one_s_own_cases(intake: Intake) -> None:
    staff_id, reference = f"sw-{new_id()}", a_reference()
    me = signed(Role.SOCIAL_WORKER, sub=staff_id)
    mine = [(await sent(intake, me, referrer=None, source_reference=reference)).json()["case_id"]]
    await sent(intake, {}, referrer={"organisation": "Jugendamt", "staff_id": staff_id}, source_reference=reference)

    async def listed(**wanted: str) -> Any:
        answer = await intake.http.get("/v1/cases", params=wanted, headers=me)
        return [case["case_id"] for case in answer.json()["cases"]] if answer.is_success else answer.status_code

    assert await listed() == await listed(source_reference=reference) == mine
    assert await listed(referrer="sw-mine") == await listed(organisation="Jugendamt") == 403


async def test_another_role_of_the_caller_that_a_route_is_not_open_to_widens_nothing(intake: Intake) -> None:
    path = (await sent(intake, {})).headers["Location"]
    both = signed(Role.SOCIAL_WORKER, Role.OPERATOR, sub="sw-mine")

    assert (await intake.http.get(path, headers=both)).status_code == 200
    assert (await intake.http.post(f"{path}/amend", json={"urgency": "soon"}, headers=both)).status_code == 404
