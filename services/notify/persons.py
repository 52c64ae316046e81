"""Asks intake, the only service that knows persons, for what a message needs. Nothing of the answer is stored."""

from collections.abc import Collection, Generator, Mapping
from pathlib import Path
from typing import Final

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from shared.contracts.base import Language, PersonId

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


class IntakePersons:
    """Persons by id, from intake."""

    def __init__(self, intake_url: str, token_file: Path) -> None:
        self._client = httpx.AsyncClient(base_url=intake_url, auth=_ServiceToken(token_file), timeout=10.0)

    async def fetch(self, ids: Collection[PersonId]) -> Mapping[PersonId, Person]:
        """The persons that intake knows; raises `PersonsUnavailableError`."""
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


class _ServiceToken(httpx.Auth):
    """Reads the token at each request: it is made at the platform's first start, perhaps after ours."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._file.read_text(encoding='utf-8').strip()}"
        yield request
