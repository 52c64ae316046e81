"""Who asks, in tests: tokens of every role, and doors that know the key they are signed with."""

import time
from collections.abc import Generator
from typing import Any, Final

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from shared.web.client_credentials import Credentials
from shared.web.roles import Role
from shared.web.sign_in import SignIn, Trust

ISSUER: Final = "http://127.0.0.1:9"
AUDIENCE: Final = "integrationsbuero"
KEY: Final = ECKey.generate_key("P-256", auto_kid=True)
SETTINGS: Final = {
    "OIDC_ISSUER": ISSUER,
    "OIDC_AUDIENCE": AUDIENCE,
    "OIDC_CLIENT_ID": "tests",
    "OIDC_CLIENT_SECRET": "of the tests",
}
"""For the environment of services; nobody answers at the issuer's address."""
ORGANISATION: Final = "Jobcenter"
DAY: Final = 24 * 60 * 60
"""Seconds; tokens that are made when tests are collected count until the last of them has run."""


class KnownKeys:
    """Keys that nobody needs to be asked for."""

    is_known = True

    def __init__(self, *keys: Any) -> None:
        self._keys = KeySet(list(keys))

    async def find(self, kid: str) -> Any:
        return next((key for key in self._keys if key.kid == kid), None)

    async def refresh(self) -> None: ...


def sign_in() -> SignIn:
    """A sign-in that knows our key."""
    return SignIn(Trust(ISSUER, AUDIENCE), KnownKeys(KEY))


def claims(*roles: Role, **said: Any) -> dict[str, Any]:
    """What a good token says; `said` is added or takes its place."""
    now = int(time.time())
    of_roles = {"partner_id": "awo"} if Role.PARTNER in roles else {}
    of_roles |= {"organisation": ORGANISATION} if Role.SOCIAL_WORKER in roles else {}
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "someone", "iat": now, "exp": now + DAY, "roles": list(roles)}
    return {**usual, **of_roles, **said}


def token(*roles: Role, **said: Any) -> str:
    """A token with these roles, signed with our key."""
    return jwt.encode({"alg": "ES256", "kid": KEY.kid}, claims(*roles, **said), KEY)


def signed(*roles: Role, **said: Any) -> dict[str, str]:
    """The header of a request by somebody with these roles."""
    return {"Authorization": f"Bearer {token(*roles, **said)}"}


def give_tokens(monkeypatch: pytest.MonkeyPatch, *roles: Role) -> None:
    """Whoever asks for a token is given one with these roles, and no issuer is asked."""

    def asking(_: Credentials, **said: str) -> Generator[httpx.Request, httpx.Response, dict[str, Any]]:
        return {"access_token": token(*roles), "expires_in": 900}
        yield

    monkeypatch.setattr(Credentials, "asking", asking)
