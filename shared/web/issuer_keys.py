"""The keys of an OpenID Connect issuer, found by discovery and kept: the issuer may be away meanwhile."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from shared.web.loopback import DIRECT, OURSELVES

log = structlog.get_logger()

Key = RSAKey | ECKey | OKPKey
_KINDS: Final = ("RSA", "EC", "OKP")

DISCOVERY: Final = "/.well-known/openid-configuration"
ANSWER_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 10.0
"""At most so often is the issuer asked because a token names a key that is not known."""
_SHORTEST_RSA: Final = 2048
"""Bits; shorter keys can be broken (NIST SP 800-131A)."""


class KeysUnknownError(Exception):
    """The issuer has not told its keys yet."""


def discovery_url(issuer: str) -> str:
    """Where an issuer describes itself (OpenID Connect Discovery 1.0, section 4)."""
    return issuer.rstrip("/") + DISCOVERY


def require_trustworthy(url: str) -> str:
    """The address again; raises `ValueError` where anybody on the way could answer in its place."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in OURSELVES):
        return url
    raise ValueError("https, or http on this very machine")


class IssuerKeys:
    """Keys by their `kid`. Only public keys of signatures count; what cannot be read is passed over."""

    def __init__(
        self,
        issuer: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._transport = transport
        self._clock = clock
        self._keys: Mapping[str, Key] | None = None
        self._asked_at: float | None = None
        self._asking = asyncio.Lock()

    @property
    def is_known(self) -> bool:
        """Whether the issuer has told them."""
        return self._keys is not None

    async def find(self, kid: str) -> Key | None:
        """The key of this name, asking again where it is not known; raises `KeysUnknownError`."""
        if self._keys is None or kid not in self._keys:
            async with self._asking:  # who waited here finds what the first one was told
                if self._asked_at is None or self._clock() - self._asked_at >= PAUSE_SECONDS:
                    await self.refresh()
        if self._keys is None:
            raise KeysUnknownError
        return self._keys.get(kid)

    async def refresh(self) -> None:
        """Ask the issuer. Where it does not answer, what it told before stays; it is logged."""
        self._asked_at = self._clock()
        try:
            self._keys = await self._told()
        except Exception as error:  # whatever the issuer says, it is asked again: who asks for us ends with this one
            log.warning("issuer_keys_not_read", error=type(error).__name__)

    async def _told(self) -> dict[str, Key]:
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, transport=self._transport, mounts=DIRECT) as client:
            described = (await client.get(discovery_url(self._issuer))).raise_for_status().json()
            if described["issuer"] != self._issuer:
                raise ValueError("another issuer answers")
            told = (await client.get(require_trustworthy(described["jwks_uri"]))).raise_for_status().json()
        return dict(_usable(told["keys"]))


def _usable(keys: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, Key]]:
    for said in keys:
        of_signatures = said.get("kty") in _KINDS and said.get("use", "sig") == "sig"
        if not of_signatures or not isinstance(said.get("kid"), str):
            continue
        try:
            key = JWKRegistry.import_key(dict(said))
        except (JoseError, ValueError, KeyError, TypeError):
            continue
        is_short = isinstance(key, RSAKey) and key.public_key.key_size < _SHORTEST_RSA
        if isinstance(key, Key) and not key.is_private and not is_short:
            yield said["kid"], key
