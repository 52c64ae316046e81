"""Asking intake: through its own route, so that both sides mean the same; and what happens when it does not answer."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from signing import sign_in, signed

from services.intake.api.persons import persons_router
from services.notify.persons import IntakePersons, PersonsUnavailableError
from shared.contracts.base import derived_id
from shared.web.equipment import equip
from shared.web.roles import Role

KNOWN, UNKNOWN = derived_id("known"), derived_id("unknown")
RECORD: dict[str, Any] = {
    "_id": KNOWN,
    "identity": {"given_name": "Özlem", "family_name": None},
    "contact": {"email": "oezlem@example.org", "may_contact_by": ["email"]},
    "languages": {"first": "ku", "reads": "tr", "also": ["de"]},
}


class FakeVault:
    """Intake's store with one person."""

    async def batch_get(self, ids: tuple[str, ...]) -> list[dict[str, Any]]:
        return [RECORD] if KNOWN in ids else []


Client = Callable[[httpx.AsyncBaseTransport], IntakePersons]


@pytest.fixture
async def asking() -> AsyncIterator[Client]:
    """Makes the reader for an intake behind this transport, signed in as a service."""
    opened: list[IntakePersons] = []

    def ask(transport: httpx.AsyncBaseTransport) -> IntakePersons:
        client = httpx.AsyncClient(transport=transport, base_url="http://intake", headers=signed(Role.SERVICE))
        opened.append(IntakePersons(client))
        return opened[-1]

    yield ask
    for persons in opened:
        await persons.close()


def the_intake() -> httpx.ASGITransport:
    """Intake's own route, which knows one person."""
    app = FastAPI()
    equip(app, dict, sign_in())
    app.include_router(persons_router(FakeVault()))  # type: ignore[arg-type]
    return httpx.ASGITransport(app)


def answering(status: int, body: object = None) -> httpx.MockTransport:
    """An intake that gives one answer."""
    return httpx.MockTransport(lambda _: httpx.Response(status, content=json.dumps(body)))


async def test_intake_tells_the_persons_it_knows(asking: Client) -> None:
    found = await asking(the_intake()).fetch({KNOWN, UNKNOWN})

    assert found.keys() == {KNOWN}
    assert (found[KNOWN].given_name, found[KNOWN].family_name) == ("Özlem", "")
    assert found[KNOWN].mail_address == "oezlem@example.org"
    assert "tr" in found[KNOWN].languages


async def test_an_address_without_leave_is_not_used(asking: Client) -> None:
    person = {"person_id": KNOWN, "given_name": "", "family_name": "", "email": "a@example.org", "may_contact_by": []}

    found = await asking(answering(200, {"persons": [person]})).fetch({KNOWN})

    assert found[KNOWN].mail_address is None


@pytest.mark.parametrize("status", [401, 404, 422, 429, 500, 503])
async def test_a_refusal_says_nothing_about_the_persons(asking: Client, status: int) -> None:
    with pytest.raises(PersonsUnavailableError, match=str(status)):
        await asking(answering(status)).fetch({KNOWN})


async def test_an_answer_that_is_not_understood_counts_as_none(asking: Client) -> None:
    with pytest.raises(PersonsUnavailableError, match="ValidationError"):
        await asking(answering(200, {"people": []})).fetch({KNOWN})


async def test_an_intake_that_is_away_is_unavailable(asking: Client) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no", request=request)

    with pytest.raises(PersonsUnavailableError, match="ConnectError"):
        await asking(httpx.MockTransport(away)).fetch({KNOWN})
