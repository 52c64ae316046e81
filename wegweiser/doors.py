"""Asking the services at their operators' routes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import httpx

from shared.topics import SERVICES
from shared.web.client_credentials import ClientCredentials, Credentials, NoTokenError
from shared.web.loopback import DIRECT
from wegweiser.addresses import Doors, found

_PATIENCE_SECONDS: Final = 60.0
"""A replay reads everything parked behind a record before it answers."""


class NoAnswerError(Exception):
    """A service could not be asked; the text says why, in words for an operator."""


class RefusedError(Exception):
    """A service said no; carries the status and the members of its problem, the text is its detail."""

    def __init__(self, status: int, detail: str, members: Mapping[str, Any]) -> None:
        super().__init__(detail)
        self.status = status
        self.members = members


class Door:
    """One service."""

    def __init__(self, service: str, client: httpx.Client) -> None:
        self.service = service
        self._client = client

    def get(self, path: str, **parameters: str | Sequence[str]) -> dict[str, Any]:
        """The answer to a question; raises `NoAnswerError` or `RefusedError`."""
        return self._answer("GET", path, parameters)

    def post(self, path: str, body: Any = None) -> dict[str, Any]:
        """The answer to an order, with `body` as JSON where it has one; raises `NoAnswerError` or `RefusedError`."""
        return self._answer("POST", path, {}, body)

    def _answer(self, method: str, path: str, parameters: dict[str, Any], body: Any = None) -> dict[str, Any]:
        try:
            response = self._client.request(method, path, params=parameters, json=body)
            answer: dict[str, Any] = response.json()
        except NoTokenError as error:
            raise NoAnswerError(f"{self.service} cannot be asked: {error}") from None
        except (httpx.HTTPError, ValueError) as error:
            raise NoAnswerError(f"{self._silent(error)} does not answer ({type(error).__name__})") from None
        if response.is_server_error or response.status_code == httpx.codes.UNAUTHORIZED:
            raise NoAnswerError(f"{self.service} does not answer: {answer.get('detail', response.reason_phrase)}")
        if response.is_error:
            detail = answer.get("detail", response.reason_phrase)
            raise RefusedError(response.status_code, f"{self.service}: {detail}", answer)
        return answer

    def _silent(self, error: Exception) -> str:
        """Who did not answer: a token is asked for on the way."""
        asked = error.request.url.netloc if isinstance(error, httpx.RequestError) else self._client.base_url.netloc
        return self.service if asked == self._client.base_url.netloc else "the issuer"


@contextmanager
def door_of(service: str, url: str, credentials: Credentials) -> Iterator[Door]:
    """The door of a service at this address, for an operator."""
    patience = httpx.Timeout(_PATIENCE_SECONDS, connect=5.0)
    sign_in = ClientCredentials(credentials)
    with httpx.Client(base_url=url, auth=sign_in, timeout=patience, mounts=DIRECT) as client:
        yield Door(service, client)


@contextmanager
def doors(*services: str) -> Iterator[list[Door]]:
    """The doors of these services, of all four where none is named."""
    addresses = found(Doors)
    with ExitStack() as stack:
        yield [
            stack.enter_context(door_of(service, getattr(addresses, f"{service}_url"), addresses.credentials))
            for service in services or SERVICES
        ]
