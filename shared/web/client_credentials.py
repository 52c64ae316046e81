"""How a process of ours signs in at another's door: client credentials (RFC 6749, section 4.4) of the same issuer."""

import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import httpx

from shared.web.issuer_keys import discovery_url, require_trustworthy
from shared.web.loopback import DIRECT

_BEFORE_THE_END: Final = 30.0
"""Seconds before a token ends in which a new one is asked for."""


class NoTokenError(httpx.HTTPError):
    """The issuer answered, but gave no token."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who a process is to the issuer."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)

    def asking(self, **said: str) -> Generator[httpx.Request, httpx.Response, dict[str, Any]]:
        """The requests that lead to a token, each to be answered by its response; returns what the issuer said of it.

        `said` goes along in the form. Raises `NoTokenError`.
        """
        described = _members((yield httpx.Request("GET", discovery_url(self.issuer))))
        if described.get("issuer") != self.issuer:
            raise NoTokenError("the issuer says that it is another one")
        request = httpx.Request(
            "POST",
            require_trustworthy(str(described.get("token_endpoint"))),
            data={"grant_type": "client_credentials", **said},
        )
        basic = httpx.BasicAuth(quote(self.client_id, safe=""), quote(self.client_secret, safe=""))
        given = _members((yield next(basic.sync_auth_flow(request))))
        if not isinstance(given.get("access_token"), str):
            raise NoTokenError("the issuer gave no token")
        return given

    def obtain(self, **said: str) -> str:
        """A token, asked for at once; raises `httpx.HTTPError`."""
        asking = self.asking(**said)
        with httpx.Client(mounts=DIRECT) as issuer:
            request = next(asking)
            while True:
                try:
                    request = asking.send(issuer.send(request))
                except StopIteration as given:
                    token: str = given.value["access_token"]
                    return token


class ClientCredentials(httpx.Auth):
    """Shows a token at each request; asks for one at the first, and again shortly before it ends or once refused."""

    requires_response_body = True

    def __init__(self, credentials: Credentials, **said: str) -> None:
        """`said` goes along with each request for a token."""
        self._credentials = credentials
        self._said = said
        self._token = ""
        self._until = 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token to the request."""
        if time.monotonic() >= self._until:
            yield from self._renewed()
        if (yield self._signed(request)).status_code == httpx.codes.UNAUTHORIZED:
            yield from self._renewed()
            yield self._signed(request)

    def _renewed(self) -> Generator[httpx.Request, httpx.Response, None]:
        given = yield from self._credentials.asking(**self._said)
        self._token = given["access_token"]
        self._until = time.monotonic() + float(given.get("expires_in", 0)) - _BEFORE_THE_END

    def _signed(self, request: httpx.Request) -> httpx.Request:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _members(response: httpx.Response) -> dict[str, Any]:
    try:
        said = response.json()
    except ValueError:
        said = None
    if response.is_error or not isinstance(said, dict):
        reason = said.get("error_description", said.get("error")) if isinstance(said, dict) else None
        raise NoTokenError(f"the issuer gives no token: {reason or response.status_code}")
    return said
