"""Sign-in at a door: access tokens of an OpenID Connect issuer (RFC 6750, RFC 7519, RFC 8725)."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol

from joserfc import jws, jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError

from shared.contracts.base import PARTNER_PATTERN
from shared.web.issuer_keys import IssuerKeys, Key, KeysUnknownError
from shared.web.problems import ProblemError
from shared.web.roles import Caller, Role

ALGORITHMS: Final = ("ES256", "ES384", "ES512", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512")
"""Asymmetric ones only: with a shared secret every service could issue tokens, with `none` everybody."""
LEEWAY_SECONDS: Final = 90
"""So far may the issuer's clock be from ours."""
LONGEST: Final = 8 * 1024
"""Characters of a token."""
REMEMBERED: Final = 10_000
"""Tokens that need not be verified again until they expire: a signature costs more than the rest of a sign-in."""

_REFRESH_SECONDS: Final = 600.0
"""A key that the issuer withdrew is refused after this time at the latest."""
_RETRY_SECONDS: Final = 2.0
_REGISTRY: Final = jws.JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
_TYPES: Final = ("jwt", "at+jwt")
"""What a token may say that it is (RFC 8725, section 3.11): others are signed with the same keys for other ends."""
_SUBJECT: Final = re.compile(r"[\x21-\x7e]{1,100}")
_ORGANISATION: Final = re.compile(r"(?=.*\S)[^\x00-\x1f\x7f]{1,200}")
_PARTNER: Final = re.compile(PARTNER_PATTERN)


class Keys(Protocol):
    """Where the issuer's keys are known."""

    @property
    def is_known(self) -> bool:
        """Whether the issuer has told them."""
        ...

    async def find(self, kid: str) -> Key | None:
        """The key of this name; raises `KeysUnknownError`."""
        ...

    async def refresh(self) -> None:
        """Ask the issuer for its keys."""
        ...


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose tokens count: the issuer, for whom they are made out, and the claim that holds the roles."""

    issuer: str
    audience: str
    roles_claim: str = "roles"


class SignIn:
    """Knows callers by their tokens. It serves from the start; while the issuer has not told its keys, with 503."""

    def __init__(self, trust: Trust, keys: Keys | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys or IssuerKeys(trust.issuer)
        self._roles_claim = trust.roles_claim
        self._clock = clock
        self._known: dict[bytes, tuple[float, Caller]] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._claims = jwt.JWTClaimsRegistry(
            now=lambda: int(clock()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": trust.issuer},
            aud={"essential": True, "value": trust.audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    @property
    def is_ready(self) -> bool:
        """Whether tokens can be verified."""
        return self._keys.is_known

    async def start(self) -> None:
        """Ask the issuer for its keys until it answers, and from then on every ten minutes."""
        self._refreshing = asyncio.create_task(self._keep_fresh())

    async def stop(self) -> None:
        """Ask no more."""
        if self._refreshing is not None:
            self._refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await self._refreshing

    async def caller(self, authorization: str | None) -> Caller:
        """Whose `Authorization` header this is; raises a problem (401, 503)."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ProblemError(
                401, "sign-in-needed", "Send a bearer token of the issuer.", headers={"WWW-Authenticate": "Bearer"}
            )
        if len(token) > LONGEST:
            raise _refused(f"is longer than {LONGEST} characters")
        mark = sha256(token.encode()).digest()
        until, known = self._known.get(mark, (0.0, None))
        if known is not None and self._clock() < until:
            return known
        claims = await self._verified(token)
        caller = _caller(claims, self._roles_claim)
        if len(self._known) >= REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[mark] = (claims["exp"] + LEEWAY_SECONDS, caller)
        return caller

    async def _verified(self, token: str) -> Mapping[str, Any]:
        try:
            header = jws.extract_compact(token.encode()).headers()
            kid, algorithm = header.get("kid"), header.get("alg")
        except (JoseError, ValueError, AttributeError, RecursionError):
            raise _refused("cannot be read") from None
        if str(header.get("typ", "JWT")).lower().removeprefix("application/") not in _TYPES:
            raise _refused("is of another type")
        if algorithm not in ALGORITHMS or not isinstance(kid, str):
            raise _refused("is not signed as it has to be")
        try:
            key = await self._keys.find(kid)
        except KeysUnknownError:
            raise ProblemError(
                503, "issuer-away", "The issuer has not told its keys yet.", headers={"Retry-After": "2"}
            ) from None
        if key is None:
            raise _refused("is signed with a key that its issuer does not name")
        try:
            claims = jwt.decode(token, key, algorithms=ALGORITHMS, registry=_REGISTRY).claims
            self._claims.validate(claims)
        except ExpiredTokenError:
            raise _refused("has expired") from None
        except ClaimError as error:
            raise _refused(f"does not count here, by its claim {error.claim}") from None
        except (JoseError, ValueError, TypeError, RecursionError):
            raise _refused("is not signed as it has to be") from None
        return claims

    async def _keep_fresh(self) -> None:
        while True:
            await self._keys.refresh()
            self._known.clear()  # a key may have been withdrawn
            await asyncio.sleep(_REFRESH_SECONDS if self.is_ready else _RETRY_SECONDS)


def _caller(claims: Mapping[str, Any], roles_claim: str) -> Caller:
    said = claims.get(roles_claim)
    named = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
    roles = frozenset(role for role in Role if role in named)
    partner_id, organisation = claims.get("partner_id"), claims.get("organisation")
    if not _SUBJECT.fullmatch(claims["sub"]):
        raise _refused("names nobody in its claim sub")
    if Role.PARTNER in roles and not _is(partner_id, _PARTNER):
        raise _refused("is a partner's without its partner_id")
    if Role.SOCIAL_WORKER in roles and not _is(organisation, _ORGANISATION):
        raise _refused("is a social worker's without the organisation")
    return Caller(
        claims["sub"],
        roles,
        partner_id if Role.PARTNER in roles else None,
        organisation if Role.SOCIAL_WORKER in roles else None,
    )


def _is(said: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(said, str) and pattern.fullmatch(said) is not None


def _refused(why: str) -> ProblemError:
    detail = f"The token {why}."
    described = f'Bearer error="invalid_token", error_description="{detail}"'
    return ProblemError(401, "token-not-valid", detail, headers={"WWW-Authenticate": described})
