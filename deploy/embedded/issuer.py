"""An OpenID Connect issuer for this machine alone: discovery, keys, and tokens for client credentials.

It stands in where a district's own issuer signs people in. Whoever holds the secret of the command line may have a
token of any role, so the file that holds it is the operator's.
"""

import argparse
import hmac
import json
import re
import sys
import time
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.embedded.daemon import Daemon, Home
from deploy.embedded.ports import accepts_connections
from deploy.secrets import Secrets, client_file
from shared.contracts.base import PARTNER_PATTERN, new_id
from shared.web.client_credentials import Credentials
from shared.web.issuer_keys import DISCOVERY
from shared.web.roles import Role

AUDIENCE: Final = "integrationsbuero"
COMMAND_LINE: Final = "wegweiser"
CLIENTS: Final[Mapping[str, tuple[Role, ...]]] = {
    COMMAND_LINE: (Role.OPERATOR, *(role for role in Role if role is not Role.OPERATOR)),
    "notify": (Role.SERVICE,),
}
"""Who may ask besides partners, and for which roles; the first one counts where the request names none in its scope."""
ORGANISATION: Final = "Sozialer Dienst des Kreises"
"""Of a social worker, where the request names none."""
MOST_MINUTES: Final = 24 * 60

_KEY: Final = "issuer-key.json"
_ALGORITHM: Final = "ES256"
_MINUTES: Final = 15
_FORM_BYTES: Final = 4096
_PARTNERS_CLIENT: Final = re.compile(rf"partner-({PARTNER_PATTERN[1:-1]})-[12]")
_SAID: Final = {
    "partner_id": re.compile(PARTNER_PATTERN),
    "organisation": re.compile(r"(?=.*\S)[^\x00-\x1f\x7f]{1,200}"),
    "subject": re.compile(r"[\x21-\x7e]{1,100}"),
    "minutes": re.compile(r"[0-9]{1,4}"),
}
"""What the command line may say besides the roles."""


class RefusedError(Exception):
    """No token for this request; `error` is one of RFC 6749, section 5.2."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error = error


class EmbeddedIssuer:
    """Signs tokens with a key of its own, for clients by their secrets; both are kept among the `secrets`."""

    def __init__(self, issuer: str, secrets: Secrets) -> None:
        self._issuer = issuer
        self._secrets = secrets
        for client in CLIENTS:
            secrets.password(client_file(client))
        if not (secrets.folder / _KEY).exists():
            key = ECKey.generate_key("P-256", auto_kid=True).as_dict(private=True)
            secrets.keep(_KEY, json.dumps(key))
        self._key = ECKey.import_key(json.loads((secrets.folder / _KEY).read_text()))

    def keys(self) -> dict[str, Any]:
        """The public keys (RFC 7517)."""
        return {"keys": [{**self._key.as_dict(private=False), "use": "sig", "alg": _ALGORITHM}]}

    def token(self, authorization: str, form: Mapping[str, str]) -> dict[str, Any]:
        """The answer to a request for a token; raises `RefusedError`."""
        client = self._client(authorization)
        if form.get("grant_type") != "client_credentials":
            raise RefusedError("unsupported_grant_type", "client_credentials only")
        may_be = CLIENTS.get(client, (Role.PARTNER,))
        named = form.get("scope", may_be[0]).split()
        roles = [role for role in may_be if role in named]
        if not roles or len(roles) < len(named):
            raise RefusedError("invalid_scope", f"one of: {', '.join(may_be)}")
        for name, pattern in _SAID.items():
            if name in form and (client != COMMAND_LINE or not pattern.fullmatch(form[name])):
                raise RefusedError("invalid_request", f"{name} is not what it has to be")
        minutes = int(form.get("minutes", _MINUTES))
        if not 1 <= minutes <= MOST_MINUTES:
            raise RefusedError("invalid_request", f"1 to {MOST_MINUTES} minutes")
        if of_partner := _PARTNERS_CLIENT.fullmatch(client):
            form = {**form, "partner_id": of_partner[1]}
        if (Role.PARTNER in roles) != ("partner_id" in form):
            raise RefusedError("invalid_request", "a partner has a partner_id, and nobody else has")
        return {
            "access_token": self._signed(self._claims(client, roles, form), minutes * 60),
            "token_type": "Bearer",
            "expires_in": minutes * 60,
            "scope": " ".join(roles),
        }

    def _client(self, authorization: str) -> str:
        scheme, _, encoded = authorization.partition(" ")
        try:
            client, _, secret = b64decode(encoded, validate=True).decode().partition(":")
        except ValueError:
            client, secret = "", ""
        client = unquote(client)
        is_somebody = client in CLIENTS or _PARTNERS_CLIENT.fullmatch(client)
        known = (is_somebody and self._secrets.known(client_file(client))) or ""
        if not hmac.compare_digest(unquote(secret).encode(), known.encode()) or not known or scheme.lower() != "basic":
            raise RefusedError("invalid_client", "no such client, or not its secret")
        return client

    def _claims(self, client: str, roles: Sequence[Role], form: Mapping[str, str]) -> dict[str, Any]:
        example = client if client != COMMAND_LINE else f"{roles[0].replace('_', '-')}-1"
        claims = {"sub": form.get("subject", example), "roles": list(roles)}
        if Role.PARTNER in roles:
            claims["partner_id"] = form["partner_id"]
        if Role.SOCIAL_WORKER in roles:
            claims["organisation"] = form.get("organisation", ORGANISATION)
        return claims

    def _signed(self, claims: Mapping[str, Any], seconds: int) -> str:
        now = int(time.time())
        everything = {"iss": self._issuer, "aud": AUDIENCE, "iat": now, "exp": now + seconds, "jti": new_id(), **claims}
        return jwt.encode({"alg": _ALGORITHM, "kid": self._key.kid, "typ": "at+jwt"}, everything, self._key)


def create_app(issuer: str, secrets: Secrets) -> Starlette:
    """The issuer as an application."""
    made = EmbeddedIssuer(issuer, secrets)
    described = {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/keys",
        "token_endpoint": f"{issuer}/token",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "id_token_signing_alg_values_supported": [_ALGORITHM],
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "scopes_supported": list(Role),
    }

    async def describe(_: Request) -> JSONResponse:
        return JSONResponse(described)

    async def show_keys(_: Request) -> JSONResponse:
        return JSONResponse(made.keys())

    async def give(request: Request) -> JSONResponse:
        never_kept = {"Cache-Control": "no-store"}
        try:
            answer = made.token(request.headers.get("authorization", ""), await _form(request))
        except RefusedError as error:
            said = {"error": error.error, "error_description": str(error)}
            if error.error == "invalid_client":
                return JSONResponse(said, 401, {"WWW-Authenticate": "Basic", **never_kept})
            return JSONResponse(said, 400, never_kept)
        return JSONResponse(answer, headers=never_kept)

    return Starlette(
        routes=[
            Route(DISCOVERY, describe),
            Route("/keys", show_keys),
            Route("/token", give, methods=["POST"]),
        ]
    )


async def _form(request: Request) -> dict[str, str]:
    if int(request.headers.get("content-length", _FORM_BYTES + 1)) > _FORM_BYTES:
        raise RefusedError("invalid_request", f"a form of at most {_FORM_BYTES} bytes")
    return dict(parse_qsl((await request.body()).decode(errors="replace")))


def issuer_url(port: int) -> str:
    """As the issuer on this port names itself."""
    return f"http://127.0.0.1:{port}"


class Issuer(Daemon):
    """The issuer as a process of its own; tokens outlast its restart, for its key is kept."""

    def __init__(self, home: Home, *, port: int, secrets: Secrets) -> None:
        super().__init__("issuer", home, ports={"ISSUER_PORT": port})
        self._port = port
        self._secrets = secrets
        self.url = issuer_url(port)

    def credentials(self, client: str) -> Credentials:
        """Who a client is to this issuer."""
        return Credentials(self.url, client, self._secrets.password(client_file(client)))

    def command(self) -> Sequence[str]:
        """This very module."""
        arguments = ("--port", str(self._port), "--folder", str(self._secrets.folder))
        return [sys.executable, "-m", "deploy.embedded.issuer", *arguments]

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        return accepts_connections(self._port)


def main() -> None:
    """`python -m deploy.embedded.issuer --port PORT --folder FOLDER`."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--folder", type=Path, required=True)
    given = arguments.parse_args()
    app = create_app(issuer_url(given.port), Secrets(given.folder))
    uvicorn.run(app, host="127.0.0.1", port=given.port, access_log=False, log_level="warning", ws="none")


if __name__ == "__main__":
    main()
