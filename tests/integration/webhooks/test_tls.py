"""Receivers whose TLS goes wrong when the connection already stands."""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from deploy.secrets import Secrets
from services.gateway.domain.webhooks import Answer, Failure
from services.gateway.webhooks.addresses import Place
from services.gateway.webhooks.connections import Connections, Resolver
from shared.pipeline.engine import utc_now

PLAIN = b"HTTP/1.1 200 -\r\nContent-Length: 0\r\n\r\n"


def miss_a_certificate(encrypted: ssl.SSLSocket) -> None:
    """In TLS 1.3 the other side learns that only when its own handshake is over."""
    with suppress(ssl.SSLError):
        encrypted.do_handshake()


def answer_in_plain_text(encrypted: ssl.SSLSocket) -> None:
    """Shake hands, and forget about it."""
    encrypted.do_handshake()
    encrypted.recv(1)
    os.write(encrypted.fileno(), PLAIN)


@pytest.mark.parametrize(
    ("wants", "serve"), [(ssl.CERT_REQUIRED, miss_a_certificate), (ssl.CERT_NONE, answer_in_plain_text)]
)
async def test_what_goes_wrong_behind_the_handshake_is_the_certificate_s_failure(
    tmp_path: Path, wants: ssl.VerifyMode, serve: Callable[[ssl.SSLSocket], None]
) -> None:
    secrets = Secrets(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(secrets.certificate("receiver"))
    context.verify_mode = wants

    def serve_one(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as encrypted:
            serve(encrypted)
            while os.read(encrypted.fileno(), 65536):  # closed with something unread, it would be a reset
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(asyncio.to_thread(serve_one, listening))
        port = listening.getsockname()[1]
        resolver = Resolver()
        connections = Connections(
            {Place("localhost", port)}, resolver, ssl.create_default_context(cafile=secrets.authority)
        )
        try:
            assert await connections.send(f"https://localhost:{port}/", {}, "{}", utc_now()) == Answer(
                failure=Failure.CERTIFICATE
            )
        finally:
            await connections.close()
            resolver.close()
            await serving
