"""A real SMTP server on a free port, which keeps what it takes and misbehaves on demand."""

import asyncio
from asyncio import Server
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, Envelope, Session


class MailServer:
    """Takes mail on 127.0.0.1 while it is entered. `at_rcpt` and `at_data` are its answers; None hangs up instead."""

    def __init__(self, *, at_rcpt: str = "250 OK", at_data: str | None = "250 Stored", port: int = 0) -> None:
        self.at_rcpt = at_rcpt
        self.at_data = at_data
        self.refused: str | None = None
        self.port = port
        self.mails: list[EmailMessage] = []
        self.connections = 0
        self._server: Server | None = None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Answer as told; `refused` is the one address that is not known here."""
        if address == self.refused:
            return "550 No such user"
        if self.at_rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.at_rcpt

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the mail, then answer as told."""
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        assert envelope.rcpt_tos == [mail["To"]]
        self.mails.append(mail)
        if self.at_data is None:
            assert server.transport
            server.transport.close()
            return "421 gone"
        return self.at_data

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()

        def connected() -> Any:
            self.connections += 1
            return SMTP(self, loop=loop)

        self._server = await loop.create_server(connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _frames: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        await self._server.wait_closed()
