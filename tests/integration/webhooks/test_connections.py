"""One attempt at a receiver: where it leads, how long it may take, and what of the answer counts."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from receiver import Got, Receiver, hang, receiving, status

from deploy.secrets import Secrets
from services.gateway.domain.webhooks import Answer, Failure
from services.gateway.webhooks import connections as module
from services.gateway.webhooks.addresses import Place
from services.gateway.webhooks.connections import MOST_OF_AN_ANSWER, Connections, Resolver
from shared.pipeline.engine import utc_now

HERE = "127.0.0.1"


def here(*ports: int) -> frozenset[Place]:
    """Places of this machine, by its names."""
    return frozenset(Place(host, port) for host in ("localhost", HERE) for port in ports)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long takes a moment."""
    monkeypatch.setattr(module, "ATTEMPT_SECONDS", 0.5)
    monkeypatch.setattr(module, "_BODY_SECONDS", 0.2)


def names(*answers: Sequence[str]) -> Callable[..., object]:
    """A resolver that says one after another, and the last again and again."""
    left = list(answers)

    async def resolve(host: str, port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


async def attempt(url: str, *, allowed: frozenset[Place] | None = None, resolve: object = None) -> Answer:
    """Make one by connections of its own, to where the URL leads or to what is allowed instead."""
    resolver = Resolver()
    if allowed is None:
        allowed = here(urlsplit(url).port or 0)
    connections = Connections(allowed, resolve or resolver, ssl.create_default_context())  # type: ignore[arg-type]
    try:
        return await connections.send(url, {"webhook-id": "e-1"}, "{}", utc_now())
    finally:
        await connections.close()
        resolver.close()


async def test_what_is_sent_arrives_as_it_is(receiver: Receiver) -> None:
    assert await attempt(f"{receiver.url}?a=%C3%BC") == Answer(204)

    [got] = receiver.got
    assert (got.path, got.body) == ("/in?a=%C3%BC", b"{}")
    assert (got.headers["host"], got.headers["webhook-id"]) == (f"localhost:{receiver.port}", "e-1")


@pytest.mark.parametrize("host", [HERE, "localhost", "127.1", "2130706433"])
async def test_nobody_reaches_this_machine_who_is_not_allowed_by_name(receiver: Receiver, host: str) -> None:
    answer = await attempt(f"http://{host}:{receiver.port}/", allowed=frozenset())

    assert answer == Answer(failure=Failure.NO_PUBLIC_ADDRESS)
    assert receiver.connections == 0


async def test_another_port_of_an_allowed_host_is_not_allowed(receiver: Receiver) -> None:
    answer = await attempt(receiver.url, allowed=here(receiver.port + 1))

    assert answer == Answer(failure=Failure.NO_PUBLIC_ADDRESS)
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/meta-data/", "https://[::1]/", "http://[::ffff:7f00:1]/"]
)
async def test_no_attempt_leads_to_an_address_of_nobody(url: str) -> None:
    assert await attempt(url) == Answer(failure=Failure.NO_PUBLIC_ADDRESS)


async def test_a_name_that_changes_its_address_leads_nowhere_else(receiver: Receiver) -> None:
    """First it shows an open address, as it would to whoever checked it before connecting."""
    resolve = names(["93.184.216.34"], [HERE])
    connections = Connections(frozenset(), resolve, ssl.create_default_context())  # type: ignore[arg-type]
    url = f"http://rebinding.example:{receiver.port}/"

    assert await connections.find(url) == ["93.184.216.34"]
    assert await connections.send(url, {}, "{}", utc_now()) == Answer(failure=Failure.NO_PUBLIC_ADDRESS)

    await connections.close()
    assert receiver.connections == 0


async def test_a_name_without_an_address_is_no_fault_of_ours() -> None:
    assert await attempt("http://receiver.example/", resolve=names([])) == Answer(failure=Failure.NO_PUBLIC_ADDRESS)


async def test_the_second_address_is_tried_where_the_first_is_silent(receiver: Receiver) -> None:
    resolve = names(["127.0.0.9", HERE])

    assert await attempt(receiver.url, resolve=resolve) == Answer(204)


async def test_nobody_there(receiver: Receiver) -> None:
    assert await attempt("http://127.0.0.9:9/", allowed=frozenset({Place("127.0.0.9", 9)})) == Answer(
        failure=Failure.NOT_REACHED
    )


async def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    async def elsewhere(_: Got) -> bytes:
        return status(307, f"Location: http://localhost:{receiver.port}/there")

    receiver.answer = elsewhere

    assert await attempt(receiver.url) == Answer(307, Failure.REDIRECT)
    assert [got.path for got in receiver.got] == ["/in"]


async def test_cookies_are_not_kept_and_no_proxy_is_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cookie(_: Got) -> bytes:
        return status(200, "Set-Cookie: a=b")

    receiver.answer = cookie
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.9:9")
    connections = Connections(here(receiver.port), Resolver(), ssl.create_default_context())
    for _ in range(2):
        assert await connections.send(receiver.url, {}, "{}", utc_now()) == Answer(200)
    await connections.close()

    assert ["cookie" in got.headers for got in receiver.got] == [False, False]
    assert receiver.connections == 1


@pytest.mark.usefixtures("impatient")
async def test_an_answer_byte_by_byte_ends_with_the_attempt(receiver: Receiver) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Padding: " * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)

    receiver.raw = drip
    began = time.monotonic()

    assert await attempt(receiver.url) == Answer(failure=Failure.TOO_SLOW)
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("impatient")
async def test_no_answer_ends_with_the_attempt(receiver: Receiver) -> None:
    receiver.answer = hang

    assert await attempt(receiver.url) == Answer(failure=Failure.TOO_SLOW)


@pytest.mark.usefixtures("impatient")
async def test_a_body_without_end_changes_nothing_and_is_not_read(receiver: Receiver) -> None:
    written = 0

    async def pour(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
            await writer.drain()
            written += 1024

    receiver.raw = pour

    assert await attempt(receiver.url) == Answer(200)
    assert written > MOST_OF_AN_ANSWER


@pytest.mark.usefixtures("impatient")
async def test_a_body_that_drips_changes_nothing(receiver: Receiver) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    receiver.raw = drip

    assert await attempt(receiver.url) == Answer(200)


@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n", b"X" * 200_000])
async def test_what_is_no_answer_is_a_failure(receiver: Receiver, said: bytes) -> None:
    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(said)

    receiver.raw = say

    assert await attempt(receiver.url) == Answer(failure=Failure.BROKEN_OFF)


async def test_the_certificate_has_to_be_of_the_name(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(secrets.certificate("receiver"))
    trusted = ssl.create_default_context(cafile=secrets.authority)
    async with receiving(tls=server) as receiver:
        places = {Place(host, receiver.port) for host in ("localhost", "other.example")}
        connections = Connections(places, names([HERE]), trusted)  # type: ignore[arg-type]
        other = receiver.url.replace("localhost", "other.example")

        assert await connections.send(receiver.url, {}, "{}", utc_now()) == Answer(204)
        assert await connections.send(other, {}, "{}", utc_now()) == Answer(failure=Failure.CERTIFICATE)
        assert await attempt(receiver.url) == Answer(failure=Failure.CERTIFICATE)
        await connections.close()

        assert len(receiver.got) == 1
