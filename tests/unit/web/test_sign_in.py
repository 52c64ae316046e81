"""Only what the issuer signed for this platform opens a door, and nobody can wear the issuer out."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from signing import AUDIENCE, DAY, ISSUER, KEY, KnownKeys, claims, sign_in, token

from shared.web import sign_in as module
from shared.web.equipment import equip
from shared.web.issuer_keys import PAUSE_SECONDS, IssuerKeys
from shared.web.problems import ProblemError
from shared.web.roles import Caller, CallerOf, Role, open_to, require_roles
from shared.web.sign_in import LEEWAY_SECONDS, LONGEST, SignIn, Trust

STRANGER = ECKey.generate_key("P-256", parameters={"kid": KEY.kid})


def signed_by(key: Any, header: dict[str, Any], said: dict[str, Any]) -> str:
    return jwt.encode({"kid": KEY.kid, **header}, said, key, algorithms=[header["alg"]])


def unsigned(header: dict[str, Any], signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims(Role.OPERATOR)).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def containing(payload: bytes) -> str:
    return jws.serialize_compact({"alg": "ES256", "kid": KEY.kid}, payload, KEY)


def altered(good: str) -> str:
    header, _, signature = good.split(".")
    body = json.dumps(claims(Role.OPERATOR)).encode()
    return ".".join((header, base64.urlsafe_b64encode(body).rstrip(b"=").decode(), signature))


def in_seconds(seconds: float) -> int:
    return int(time.time() + seconds)


async def refusal(given: str, by: SignIn | None = None) -> ProblemError:
    with pytest.raises(ProblemError) as refused:
        await (by or sign_in()).caller(f"Bearer {given}")
    return refused.value


async def test_a_good_token_says_who_asks() -> None:
    given = token(Role.PARTNER, Role.FRONT_DESK, sub="anna", partner_id="vhs")

    assert await sign_in().caller(f"bearer {given}") == Caller(
        "anna", frozenset({Role.PARTNER, Role.FRONT_DESK}), "vhs"
    )


@pytest.mark.parametrize(
    ("said", "roles"),
    [
        ("operator", {Role.OPERATOR}),
        ("operator coordinator", {Role.OPERATOR, Role.COORDINATOR}),
        (["operator", "offline_access", {"a": 1}, None, 7], {Role.OPERATOR}),
        (["Operator", "operators"], set()),
        ({"operator": True}, set()),
        (None, set()),
        (1, set()),
    ],
)
async def test_roles_are_a_list_or_a_text_and_unknown_ones_give_nothing(said: Any, roles: set[Role]) -> None:
    assert (await sign_in().caller(f"Bearer {token(roles=said)}")).roles == roles


@pytest.mark.parametrize("said", [None, "JWT", "jwt", "at+jwt", "application/at+jwt"])
async def test_a_token_may_say_that_it_is_one(said: str | None) -> None:
    header = {"alg": "ES256", "kid": KEY.kid} | ({} if said is None else {"typ": said})
    given = jws.serialize_compact(header, json.dumps(claims(Role.OPERATOR)).encode(), KEY)

    assert (await sign_in().caller(f"Bearer {given}")).roles == {Role.OPERATOR}


@pytest.mark.parametrize(
    "key", [RSAKey.generate_key(2048, auto_kid=True), OKPKey.generate_key("Ed25519", auto_kid=True)]
)
async def test_other_asymmetric_signatures_count_as_well(key: Any) -> None:
    algorithm = "RS256" if isinstance(key, RSAKey) else "Ed25519"
    given = signed_by(key, {"alg": algorithm, "kid": key.kid}, claims(Role.OPERATOR))

    assert (await SignIn(Trust(ISSUER, AUDIENCE), KnownKeys(key)).caller(f"Bearer {given}")).roles == {Role.OPERATOR}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (token(exp=in_seconds(-LEEWAY_SECONDS - 1)), "has expired"),
        (token(nbf=in_seconds(LEEWAY_SECONDS + DAY)), "claim nbf"),
        (token(aud="another"), "claim aud"),
        (token(aud=["another"]), "claim aud"),
        (token(iss="http://127.0.0.1:9/"), "claim iss"),
        (token(exp=None), "claim exp"),
        (token(exp="tomorrow"), "claim exp"),
        (token(sub=None), "claim sub"),
        (token(sub="Frau Müller"), "names nobody"),
        (token(sub="x" * 101), "names nobody"),
        (token(Role.PARTNER, partner_id=None), "partner_id"),
        (token(Role.PARTNER, partner_id="AWO"), "partner_id"),
        (token(Role.PARTNER, partner_id=["awo"]), "partner_id"),
        (token(Role.SOCIAL_WORKER, organisation=None), "organisation"),
        (token(Role.SOCIAL_WORKER, organisation=" "), "organisation"),
        (token(Role.SOCIAL_WORKER, organisation="a\nb"), "organisation"),
        (signed_by(STRANGER, {"alg": "ES256"}, claims(Role.OPERATOR)), "not signed"),
        (signed_by(KEY, {"alg": "ES256", "kid": "another"}, claims(Role.OPERATOR)), "does not name"),
        (altered(token(Role.FRONT_DESK)), "not signed"),
        (token(Role.OPERATOR)[:-4], "not signed"),
        (unsigned({"alg": "none", "kid": KEY.kid}), "not signed"),
        (unsigned({"alg": "NONE", "kid": KEY.kid}), "not signed"),
        (unsigned({"alg": "ES256", "kid": KEY.kid}), "not signed"),
        (unsigned({"alg": "ES256", "kid": KEY.kid, "crit": ["exp"]}), "not signed"),
        (unsigned({"alg": ["ES256"], "kid": KEY.kid}), "not signed"),
        (unsigned({"alg": "ES256", "kid": ["a"]}), "not signed"),
        (unsigned({"alg": "ES256"}), "not signed"),
        (containing(b'{"sub": ' + b"[" * 3000), "not signed"),
        (containing(b"[1]"), "not signed"),
        (signed_by(KEY, {"alg": "ES256", "typ": "logout+jwt"}, claims(Role.OPERATOR)), "another type"),
        (signed_by(KEY, {"alg": "ES256", "typ": "JOSE"}, claims(Role.OPERATOR)), "another type"),
        (unsigned({"alg": "ES256", "kid": KEY.kid, "typ": ["JWT"]}), "another type"),
        (unsigned({}), "cannot be read"),
        ("a.b.c", "cannot be read"),
        ("a", "cannot be read"),
        ("ü.ü.ü", "cannot be read"),
        (base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.e30", "cannot be read"),
        ("x" * (LONGEST + 1), "longer than"),
    ],
)
async def test_any_other_token_is_refused_with_the_reason(given: str, why: str) -> None:
    problem = await refusal(given)

    assert (problem.status_code, problem.kind) == (401, "token-not-valid")
    assert why in problem.detail
    assert problem.headers is not None
    assert problem.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    assert problem.headers["WWW-Authenticate"].isascii()


async def test_the_public_key_is_no_shared_secret() -> None:
    for public in (KEY.as_pem(private=False), json.dumps(KEY.as_dict(private=False)).encode()):
        content = unsigned({"alg": "HS256", "kid": KEY.kid}).rpartition(".")[0]
        signature = hmac.digest(public, content.encode(), "sha256")
        forged = f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

        assert "not signed" in (await refusal(forged)).detail


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic YTpi", "eyJ"])
async def test_without_a_token_one_is_asked_for(authorization: str | None) -> None:
    with pytest.raises(ProblemError) as refused:
        await sign_in().caller(authorization)

    assert (refused.value.status_code, refused.value.headers) == (401, {"WWW-Authenticate": "Bearer"})


@pytest.mark.parametrize("minute", [-60, 60])
async def test_clocks_may_differ_by_a_minute(minute: int) -> None:
    now = in_seconds(minute)
    first, last = token(iat=now, nbf=now, exp=now + 1), token(iat=now - 900, exp=in_seconds(-60))

    for given in (first, last):
        assert (await sign_in().caller(f"Bearer {given}")).subject == "someone"


async def test_a_known_token_is_not_verified_again_but_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    clock: list[float] = [now]
    known = SignIn(Trust(ISSUER, AUDIENCE), KnownKeys(KEY), clock=lambda: clock[0])
    given = token(Role.OPERATOR, exp=int(now) + 10)
    await known.caller(f"Bearer {given}")

    with monkeypatch.context() as broken:
        broken.setattr(module, "jwt", None)
        assert (await known.caller(f"Bearer {given}")).roles == {Role.OPERATOR}

    clock[0] = now + 10 + LEEWAY_SECONDS + 1
    assert "expired" in (await refusal(given, known)).detail


async def test_no_more_tokens_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    known = sign_in()

    for number in range(10):
        await known.caller(f"Bearer {token(sub=str(number))}")

    assert len(known._known) == 3


class FakeIssuer:
    """An issuer that counts how often it is asked for its keys."""

    def __init__(self, *keys: dict[str, Any], issuer: str = ISSUER, jwks_uri: str = f"{ISSUER}/keys") -> None:
        self.keys: Any = list(keys) or [KEY.as_dict(private=False)]
        self.described = {"issuer": issuer, "jwks_uri": jwks_uri}
        self.is_away = False
        self.asked = 0
        self.now = 0.0
        self.keyring = IssuerKeys(ISSUER, transport=httpx.MockTransport(self._answer), clock=lambda: self.now)
        self.sign_in = SignIn(Trust(ISSUER, AUDIENCE), self.keyring)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.is_away:
            raise httpx.ConnectError("no", request=request)
        if request.url.path.endswith("openid-configuration"):
            return httpx.Response(200, json=self.described)
        self.asked += 1
        return httpx.Response(200, json={"keys": self.keys})


async def test_many_unknown_keys_do_not_wear_the_issuer_out() -> None:
    issuer = FakeIssuer()
    await issuer.sign_in.caller(f"Bearer {token(Role.OPERATOR)}")

    for number in range(200):
        forged = signed_by(STRANGER, {"alg": "ES256", "kid": str(number)}, claims(Role.OPERATOR))
        assert (await refusal(forged, issuer.sign_in)).status_code == 401
    assert issuer.asked == 1

    issuer.now += PAUSE_SECONDS
    for number in range(200):
        forged = signed_by(STRANGER, {"alg": "ES256", "kid": str(number)}, claims(Role.OPERATOR))
        await refusal(forged, issuer.sign_in)
    assert issuer.asked == 2


async def test_a_new_key_of_the_issuer_is_found() -> None:
    issuer, new = FakeIssuer(), ECKey.generate_key("P-256", auto_kid=True)
    await issuer.sign_in.caller(f"Bearer {token(Role.OPERATOR)}")
    issuer.keys = [new.as_dict(private=False)]
    issuer.now += PAUSE_SECONDS

    given = signed_by(new, {"alg": "ES256", "kid": new.kid}, claims(Role.FRONT_DESK))

    assert (await issuer.sign_in.caller(f"Bearer {given}")).roles == {Role.FRONT_DESK}
    assert "does not name" in (await refusal(token(Role.COORDINATOR), issuer.sign_in)).detail


async def test_an_issuer_that_goes_away_leaves_its_keys() -> None:
    issuer = FakeIssuer()
    await issuer.sign_in.caller(f"Bearer {token(Role.OPERATOR)}")
    issuer.is_away = True
    issuer.now += PAUSE_SECONDS
    await issuer.keyring.refresh()

    assert (await issuer.sign_in.caller(f"Bearer {token(Role.COORDINATOR)}")).roles == {Role.COORDINATOR}
    assert issuer.sign_in.is_ready


@pytest.mark.parametrize("jwks_uri", ["https://[::1", "https://issuer.example/\x00", 7, None])
async def test_an_address_of_keys_that_cannot_be_one_is_no_end_of_asking(jwks_uri: Any) -> None:
    issuer = FakeIssuer()
    good = issuer.described["jwks_uri"]
    issuer.described["jwks_uri"] = jwks_uri
    await issuer.keyring.refresh()
    assert not issuer.keyring.is_known

    issuer.described["jwks_uri"] = good
    await issuer.keyring.refresh()
    assert issuer.keyring.is_known


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
async def test_a_key_that_can_be_broken_opens_nothing() -> None:
    short, long = (RSAKey.generate_key(bits, auto_kid=True) for bits in (1024, 2048))
    issuer = FakeIssuer(*(key.as_dict(private=False) for key in (short, long)))

    forged, good = (signed_by(key, {"alg": "RS256", "kid": key.kid}, claims(Role.OPERATOR)) for key in (short, long))

    assert "does not name" in (await refusal(forged, issuer.sign_in)).detail
    assert (await issuer.sign_in.caller(f"Bearer {good}")).roles == {Role.OPERATOR}


async def test_until_the_issuer_answers_nobody_is_let_in_or_refused() -> None:
    issuer = FakeIssuer()
    issuer.is_away = True

    away = await refusal(token(Role.OPERATOR), issuer.sign_in)
    assert (away.status_code, away.kind, issuer.sign_in.is_ready) == (503, "issuer-away", False)

    issuer.is_away = False
    await issuer.sign_in.start()
    try:
        issuer.now += PAUSE_SECONDS
        assert (await issuer.sign_in.caller(f"Bearer {token(Role.OPERATOR)}")).roles == {Role.OPERATOR}
        assert issuer.sign_in.is_ready
    finally:
        await issuer.sign_in.stop()


@pytest.mark.parametrize(
    "issuer",
    [
        lambda: FakeIssuer(issuer="https://another.example"),
        lambda: FakeIssuer(jwks_uri="http://keys.example/"),
        lambda: FakeIssuer({"kty": "oct", "k": "c2VjcmV0", "kid": KEY.kid}),
        lambda: FakeIssuer({**KEY.as_dict(private=False), "use": "enc"}),
        lambda: FakeIssuer({"kty": "EC", "kid": KEY.kid}),
        lambda: FakeIssuer({"kty": "PQ", "kid": KEY.kid}),
        lambda: FakeIssuer(KEY.as_dict(private=True)),
    ],
)
async def test_what_is_no_public_key_of_this_issuer_opens_nothing(issuer: Callable[[], FakeIssuer]) -> None:
    assert (await refusal(token(Role.OPERATOR), issuer().sign_in)).status_code in (401, 503)


async def test_one_key_that_cannot_be_read_does_not_hide_the_others() -> None:
    issuer = FakeIssuer({"kty": "EC", "kid": "broken", "crv": "P-256"}, {}, KEY.as_dict(private=False))

    assert (await issuer.sign_in.caller(f"Bearer {token(Role.OPERATOR)}")).roles == {Role.OPERATOR}


async def test_a_route_knows_only_the_roles_it_is_open_to() -> None:
    app = FastAPI()
    equip(app, dict, sign_in())

    @app.get("/who", dependencies=[open_to(Role.FRONT_DESK, Role.OPERATOR)])
    async def who(caller: CallerOf) -> list[Role]:
        return sorted(caller.roles)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:

        async def asked(*roles: Role) -> httpx.Response:
            return await client.get("/who", headers={"Authorization": f"Bearer {token(*roles)}"})

        assert (await asked(Role.FRONT_DESK, Role.COORDINATOR)).json() == ["front_desk"]
        refused = await asked(Role.COORDINATOR)

    assert (refused.status_code, refused.json()["type"]) == (403, "urn:integrationsbuero:problem:not-allowed")
    assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    assert refused.json()["detail"] == "Open to: front_desk, operator."


@pytest.mark.parametrize("gates", [[], [open_to(Role.OPERATOR), open_to(Role.FRONT_DESK)], [open_to()]])
def test_an_application_with_a_route_that_does_not_say_who_may_does_not_start(gates: list[Any]) -> None:
    app = FastAPI(openapi_url=None)

    @app.get("/bare", dependencies=gates)
    async def bare() -> None: ...

    with pytest.raises(RuntimeError, match="GET /bare"):
        require_roles(app)
