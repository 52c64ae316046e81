"""A mail server that delivers nothing: each mail becomes an .eml file in a folder, for demonstrations and tests."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.embedded.daemon import Daemon, Home
from deploy.embedded.ports import accepts_connections


class Mailbox:
    """Keeps what arrives. Nothing of a mail is logged: it names people."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        """Answer 250 only when the whole mail is on the disk; a reader of the folder never sees a part of one."""
        assert isinstance(envelope.content, bytes), "the server was not told to decode"
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid4().hex[:8]}"
        draft = self._folder / f".{name}.part"
        try:
            with draft.open("wb") as file:
                file.write(envelope.content)
                file.flush()
                os.fsync(file.fileno())
            draft.rename(self._folder / f"{name}.eml")
        except OSError:
            return "451 The mail could not be stored"
        return "250 Stored"


async def serve(port: int, folder: Path) -> None:
    """Take mail on 127.0.0.1 until SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    mailbox = Mailbox(folder)
    server = await loop.create_server(lambda: SMTP(mailbox, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", port)
    async with server:
        await stopped.wait()


class MailSink(Daemon):
    """The mail server as a process of its own."""

    def __init__(self, home: Home, *, port: int, folder: Path) -> None:
        super().__init__("mail", home, ports={"SMTP_PORT": port})
        self._port = port
        self._folder = folder

    def command(self) -> Sequence[str]:
        """This very module."""
        arguments = ("--port", str(self._port), "--folder", str(self._folder))
        return [sys.executable, "-m", "deploy.embedded.mail", *arguments]

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        return accepts_connections(self._port)


def main() -> None:
    """`python -m deploy.embedded.mail --port PORT --folder FOLDER`."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--folder", type=Path, required=True)
    given = arguments.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(serve(given.port, given.folder))


if __name__ == "__main__":
    main()
