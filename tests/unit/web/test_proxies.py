"""What stays on this machine goes through no proxy of the environment; what leaves it may."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from signing import SETTINGS

from deploy.embedded.ports import free_ports
from services.notify.persons import intake_client
from shared.web.client_credentials import Credentials
from shared.web.issuer_keys import IssuerKeys
from wegweiser.doors import NoAnswerError, door_of
from wegweiser.expectations import unmet

SECRET = "of the tests"


class Proxy:
    """Counts who comes to it, and sends everybody away."""

    def __init__(self) -> None:
        self.asked = 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._door.accept()
                with caller:
                    caller.recv(65536)
                    self.asked += 1
                    caller.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    made = Proxy()
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, made.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.close()


def asks_for_a_token(address: str) -> None:
    Credentials(address, "wegweiser", SECRET).obtain()


def asks_for_keys(address: str) -> None:
    asyncio.run(IssuerKeys(address).refresh())


def asks_for_persons(address: str) -> None:
    async def ask() -> None:
        async with intake_client(address, Credentials(address, "notify", SECRET)) as client:
            await client.get("/v1/persons")

    asyncio.run(ask())


def asks_a_service(address: str) -> None:
    with door_of("intake", address, Credentials(SETTINGS["OIDC_ISSUER"], "wegweiser", SECRET)) as door:
        door.get("/v1/lag")


def asks_for_cases(address: str, folder: Path) -> None:
    expected = folder / "expected.json"
    expected.write_text('{"IC-001": {}}')
    unmet(address, httpx.BasicAuth("wegweiser", SECRET), expected)


@pytest.mark.parametrize("ask", [asks_for_a_token, asks_for_keys, asks_for_persons, asks_a_service, asks_for_cases])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_nothing_for_this_machine_goes_through_a_proxy(
    ask: Callable[..., None], host: str, proxy: Proxy, tmp_path: Path
) -> None:
    arguments = (tmp_path,) if ask is asks_for_cases else ()

    with suppress(httpx.HTTPError, NoAnswerError):
        ask(f"http://{host}:{free_ports(1)[0]}", *arguments)

    assert proxy.asked == 0


@pytest.mark.parametrize("ask", [asks_for_a_token, asks_for_keys])
def test_an_issuer_elsewhere_is_asked_through_the_proxy(ask: Callable[[str], None], proxy: Proxy) -> None:
    with suppress(httpx.HTTPError):
        ask("https://issuer.invalid")

    assert proxy.asked == 1
