"""The issuer of the embedded mode gives tokens to who holds a client's secret, and a door takes them."""

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from deploy.embedded.issuer import AUDIENCE, COMMAND_LINE, ORGANISATION, create_app
from deploy.secrets import Secrets
from shared.web.client_credentials import ClientCredentials, Credentials, NoTokenError
from shared.web.issuer_keys import IssuerKeys
from shared.web.roles import Caller, Role
from shared.web.sign_in import SignIn, Trust

ISSUER = "http://127.0.0.1:8180"


class Issued:
    """An issuer, and a door that trusts it."""

    def __init__(self, folder: Path) -> None:
        self.secrets = Secrets(folder)
        self.transport = httpx.ASGITransport(create_app(ISSUER, self.secrets))
        self.door = SignIn(Trust(ISSUER, AUDIENCE), IssuerKeys(ISSUER, transport=self.transport))

    def credentials(self, client: str) -> Credentials:
        return Credentials(ISSUER, client, self.secrets.password(f"client-{client}"))

    async def post(self, client: str, secret: str | None = None, **form: str) -> httpx.Response:
        secret = self.secrets.password(f"client-{client}") if secret is None else secret
        async with httpx.AsyncClient(transport=self.transport, base_url=ISSUER) as http:
            form = {"grant_type": "client_credentials", **form}
            return await http.post("/token", data=form, auth=(client, secret))

    async def caller(self, client: str = COMMAND_LINE, **form: str) -> Caller:
        given = (await self.post(client, **form)).raise_for_status().json()
        return await self.door.caller(f"{given['token_type']} {given['access_token']}")


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    return Issued(tmp_path / "secrets")


async def test_the_command_line_may_be_anybody_and_is_an_operator_by_itself(issued: Issued) -> None:
    assert await issued.caller() == Caller("operator-1", frozenset({Role.OPERATOR}))
    for role in set(Role) - {Role.PARTNER}:
        assert (await issued.caller(scope=role)).roles == {role}
    assert (await issued.caller(scope="front_desk service")).roles == {Role.FRONT_DESK, Role.SERVICE}
    assert (await issued.caller(scope="partner", partner_id="awo")).partner_id == "awo"
    assert (await issued.caller(scope="front_desk", subject="fd-2")).subject == "fd-2"
    social_worker = await issued.caller(scope="social_worker")
    assert (social_worker.subject, social_worker.organisation) == ("social-worker-1", ORGANISATION)
    assert (await issued.caller(scope="social_worker", organisation="Jugendamt")).organisation == "Jugendamt"


async def test_a_service_is_itself_and_nobody_else(issued: Issued) -> None:
    assert await issued.caller("notify") == Caller("notify", frozenset({Role.SERVICE}))
    for form in ({"scope": "operator"}, {"subject": "intake"}, {"minutes": "600"}, {"scope": "partner"}):
        assert (await issued.post("notify", **form)).status_code == 400


async def test_a_partner_is_itself_and_nobody_else(issued: Issued) -> None:
    found = await issued.caller("partner-awo-1")

    assert found == Caller("partner-awo-1", frozenset({Role.PARTNER}), partner_id="awo")
    for form in ({"scope": "operator"}, {"partner_id": "vhs"}, {"partner_id": "awo"}, {"subject": "x"}):
        assert (await issued.post("partner-awo-1", **form)).status_code == 400


async def test_a_partner_is_known_as_long_as_its_secret_exists(issued: Issued) -> None:
    """The issuer runs meanwhile."""
    secret = issued.secrets.password("client-partner-awo-2")
    assert (await issued.post("partner-awo-2", secret)).status_code == 200

    (issued.secrets.folder / "client-partner-awo-2").unlink()

    assert (await issued.post("partner-awo-2", secret)).status_code == 401
    assert (await issued.post("partner-awo-2", "")).status_code == 401


@pytest.mark.parametrize(
    "client", ["partner-awo-gateway", "partner-awo-3", "partner-awo", "partner-../awo-1", "broker"]
)
async def test_only_a_partner_s_own_two_users_are_clients(issued: Issued, client: str) -> None:
    """Whatever else lies among the secrets opens nothing."""
    issued.secrets.keep(f"client-{client.replace('/', '-')}", "secret")

    assert (await issued.post(client, "secret")).status_code == 401


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "ruler"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "operator ruler"}, "invalid_scope"),
        ({"scope": "partner"}, "invalid_request"),
        ({"scope": "operator", "partner_id": "awo"}, "invalid_request"),
        ({"scope": "partner", "partner_id": "AWO"}, "invalid_request"),
        ({"subject": "Frau Müller"}, "invalid_request"),
        ({"minutes": "0"}, "invalid_request"),
        ({"minutes": "1441"}, "invalid_request"),
        ({"minutes": "-1"}, "invalid_request"),
        ({"minutes": "²"}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"organisation": "x" * 5000}, "invalid_request"),
    ],
)
async def test_what_cannot_be_given_is_refused(issued: Issued, form: dict[str, str], error: str) -> None:
    if form == {"scope": ""}:
        form = {"scope": " "}

    answer = await issued.post(COMMAND_LINE, **form)

    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("client", "secret"), [("wegweiser", "wrong"), ("wegweiser", ""), ("stranger", ""), ("", "")])
async def test_nobody_gets_a_token_without_the_secret(issued: Issued, client: str, secret: str) -> None:
    answer = await issued.post(client, secret)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"] == "Basic"


@pytest.mark.parametrize("header", ["", "Basic", "Basic ü", "Basic YQ", "Basic " + b64encode(b"\xff:\xff").decode()])
async def test_a_header_that_is_none_is_refused(issued: Issued, header: str) -> None:
    async with httpx.AsyncClient(transport=issued.transport, base_url=ISSUER) as http:
        answer = await http.post("/token", data={"a": "b"}, headers=[(b"authorization", header.encode())])

    assert answer.status_code == 401


async def test_tokens_outlast_a_restart(issued: Issued, tmp_path: Path) -> None:
    given = (await issued.post(COMMAND_LINE)).json()["access_token"]

    again = Issued(tmp_path / "secrets")

    assert (await again.door.caller(f"Bearer {given}")).roles == {Role.OPERATOR}


async def test_the_keys_that_are_shown_sign_nothing(issued: Issued) -> None:
    async with httpx.AsyncClient(transport=issued.transport, base_url=ISSUER) as http:
        [key] = (await http.get("/keys")).json()["keys"]

    assert "d" not in key
    assert (key["kty"], key["use"], key["alg"]) == ("EC", "sig", "ES256")


class Counted:
    """A transport to an issuer and to a service that counts what it is asked."""

    def __init__(self, issuer: Starlette) -> None:
        self._issuer = httpx.ASGITransport(issuer)
        self.tokens: list[str] = []
        self.refuses = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if str(request.url).startswith(ISSUER):
            answer = await self._issuer.handle_async_request(request)
            await answer.aread()
            return httpx.Response(answer.status_code, content=answer.content)
        self.tokens.append(request.headers["authorization"])
        if self.refuses:
            self.refuses -= 1
            return httpx.Response(401)
        return httpx.Response(200)


@pytest.fixture
async def asking(issued: Issued) -> AsyncIterator[tuple[httpx.AsyncClient, Counted]]:
    """A client that signs in as notify, and what it asked."""
    counted = Counted(create_app(ISSUER, issued.secrets))
    auth = ClientCredentials(issued.credentials("notify"))
    async with httpx.AsyncClient(transport=httpx.MockTransport(counted), base_url="http://intake", auth=auth) as client:
        yield client, counted


async def test_a_token_is_asked_for_once_and_shown_until_shortly_before_its_end(
    asking: tuple[httpx.AsyncClient, Counted], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, counted = asking
    now: Any = [0.0]
    monkeypatch.setattr("shared.web.client_credentials.time.monotonic", lambda: now[0])

    for moment in (0, 1, 14 * 60, 14 * 60 + 31):
        now[0] = float(moment)
        assert (await client.get("/")).status_code == 200

    assert [counted.tokens.index(token) for token in counted.tokens] == [0, 0, 0, 3]


async def test_a_refused_token_is_replaced_once(asking: tuple[httpx.AsyncClient, Counted]) -> None:
    client, counted = asking
    counted.refuses = 1
    assert (await client.get("/")).status_code == 200
    assert len(set(counted.tokens)) == 2

    counted.refuses = 5
    assert (await client.get("/")).status_code == 401
    assert counted.refuses == 3


async def test_an_issuer_that_gives_no_token_says_why(issued: Issued) -> None:
    auth = ClientCredentials(Credentials(ISSUER, "notify", "wrong"))
    async with httpx.AsyncClient(transport=issued.transport, auth=auth) as client:
        with pytest.raises(NoTokenError, match="no such client, or not its secret"):
            await client.get("http://intake/")


def test_a_secret_is_not_shown_where_credentials_are() -> None:
    assert "hush" not in repr(Credentials(ISSUER, "notify", "hush"))
