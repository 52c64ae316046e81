"""Asks intake, the only service that knows persons, for what a message needs. Nothing of the answer is stored."""

from collections.abc import Collection, Mapping
from typing import Final, Protocol

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.contracts.base import Language, PersonId
from shared.web.client_credentials import ClientCredentials, Credentials
from shared.web.loopback import DIRECT

EMAIL: Final = "email"


class Person(BaseModel):
    """A person as intake tells it; languages in the person's order of preference."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    person_id: PersonId
    given_name: str
    family_name: str
    email: str | None = None
    may_contact_by: tuple[str, ...] = ()
    languages: tuple[Language, ...] = ()

    @property
    def mail_address(self) -> str | None:
        """Where mail may be sent; None without an address or without leave to use it."""
        return self.email if EMAIL in self.may_contact_by else None


class _Answer(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    persons: tuple[Person, ...]


class PersonsUnavailableError(Exception):
    """Intake cannot be asked now; names the kind of failure only."""


class Persons(Protocol):
    """Where persons are known."""

    async def fetch(self, ids: Collection[PersonId]) -> Mapping[PersonId, Person]:
        """Those of these persons that are known; raises `PersonsUnavailableError`."""
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...


class IntakePersons:
    """Persons from intake's `/v1/persons:batchGet`, which takes up to 500 ids."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def fetch(self, ids: Collection[PersonId]) -> Mapping[PersonId, Person]:
        """A person intake leaves out is unknown; any other answer than the expected one says nothing."""
        try:
            response = await self._client.post("/v1/persons:batchGet", json={"person_ids": sorted(ids)})
            response.raise_for_status()
            answer = _Answer.model_validate_json(response.content)
        except httpx.HTTPStatusError as error:
            raise PersonsUnavailableError(str(error.response.status_code)) from None
        except (httpx.HTTPError, OSError, ValidationError) as error:
            raise PersonsUnavailableError(type(error).__name__) from None
        return {person.person_id: person for person in answer.persons}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def intake_client(intake_url: str, credentials: Credentials) -> httpx.AsyncClient:
    """A client that signs in as our service."""
    return httpx.AsyncClient(base_url=intake_url, auth=ClientCredentials(credentials), timeout=10.0, mounts=DIRECT)
