"""Asking the services at their operators' routes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx

from shared.topics import SERVICES
from wegweiser.addresses import Doors, found, stop

_PATIENCE_SECONDS: Final = 60.0
"""A replay reads everything parked behind a record before it answers."""


class NoAnswerError(Exception):
    """A service could not be asked; the text says why, in words for an operator."""


class RefusedError(Exception):
    """A service said no; carries the status and the detail of its problem."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Door:
    """One service."""

    def __init__(self, service: str, client: httpx.Client) -> None:
        self.service = service
        self._client = client

    def get(self, path: str, **parameters: str | Sequence[str]) -> dict[str, Any]:
        """The answer to a question; raises `NoAnswerError` or `RefusedError`."""
        return self._answer("GET", path, parameters)

    def post(self, path: str) -> dict[str, Any]:
        """The answer to an order; raises `NoAnswerError` or `RefusedError`."""
        return self._answer("POST", path, {})

    def _answer(self, method: str, path: str, parameters: dict[str, Any]) -> dict[str, Any]:
        try:
            response = self._client.request(method, path, params=parameters)
            answer: dict[str, Any] = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise NoAnswerError(f"{self.service} does not answer ({type(error).__name__})") from None
        if response.is_server_error or response.status_code == httpx.codes.UNAUTHORIZED:
            raise NoAnswerError(f"{self.service} does not answer: {answer.get('detail', response.reason_phrase)}")
        if response.is_error:
            raise RefusedError(response.status_code, f"{self.service}: {answer.get('detail', response.reason_phrase)}")
        return answer


@contextmanager
def doors(*services: str) -> Iterator[list[Door]]:
    """The doors of these services, of all four where none is named."""
    addresses = found(Doors)
    try:
        token = addresses.service_token_file.read_text().strip()
    except OSError as error:
        stop(f"the service token cannot be read from {addresses.service_token_file}: {error.strerror}")
    headers = {"Authorization": f"Bearer {token}"}
    clients = {
        service: httpx.Client(
            base_url=getattr(addresses, f"{service}_url"),
            headers=headers,
            timeout=httpx.Timeout(_PATIENCE_SECONDS, connect=5.0),
        )
        for service in services or SERVICES
    }
    try:
        yield [Door(service, client) for service, client in clients.items()]
    finally:
        for client in clients.values():
            client.close()
