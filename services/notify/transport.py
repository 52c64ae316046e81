"""How a mail leaves. What counts is what is known afterwards: it went out, it was refused for good, nothing went out,
or nobody can tell.
"""

import re
import socket
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime, parseaddr
from typing import Final, Protocol

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPRecipientRefused

from services.notify.letters import Mail
from shared.contracts.codes import MessageOutcome
from shared.days import LOCAL

_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
"""What every server takes (the dot-atom of RFC 5322); anything beyond needs SMTPUTF8 all the way."""
_REFUSED_FOR_GOOD: Final = 500
_REFUSED_FOR_NOW: Final = 400


class NotSentError(Exception):
    """Nothing went out; the same mail may be sent later."""


class UnreachableError(NotSentError):
    """Nothing went out and no other mail would now: there is no server to talk to."""


class Transport(Protocol):
    """Sends mails one by one."""

    at_once: int
    """How many are taken up together: what a crash may leave behind as `unknown`."""

    async def send(self, mail: Mail) -> MessageOutcome:
        """`sent`, `failed` where it was refused for good, `unknown` where it may have gone out.

        Raises `NotSentError` or `UnreachableError` where it certainly did not.
        """
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...


class SmtpTransport:
    """Sends over one connection, kept open between mails."""

    TIMEOUT: Final = 15.0
    """Seconds a server may take for one answer."""

    def __init__(self, host: str, port: int, mail_from: str) -> None:
        self.at_once = 20
        self._host, self._port, self._from = host, port, mail_from
        self._smtp: SMTP | None = None

    async def send(self, mail: Mail) -> MessageOutcome:
        """Until the text is handed over nothing has gone out; from then on only the server's answer tells."""
        if not _ADDRESS.fullmatch(mail.to):
            return MessageOutcome.FAILED
        content = _mime(mail, self._from, datetime.now(LOCAL))
        try:
            smtp = await self._connected()
            await smtp.mail(parseaddr(self._from)[1])
            await smtp.rcpt(mail.to)
        except SMTPRecipientRefused as refusal:
            await self.close()
            if refusal.code >= _REFUSED_FOR_GOOD:
                return MessageOutcome.FAILED
            raise NotSentError(refusal.code) from None
        except (SMTPException, OSError) as error:
            await self.close()
            raise UnreachableError(type(error).__name__) from None
        return await self._hand_over(smtp, content)

    async def _hand_over(self, smtp: SMTP, content: bytes) -> MessageOutcome:
        try:
            await smtp.data(content)
        except SMTPDataError as refusal:
            await self.close()
            if refusal.code >= _REFUSED_FOR_GOOD:
                return MessageOutcome.FAILED
            if refusal.code >= _REFUSED_FOR_NOW:
                raise NotSentError(refusal.code) from None
            return MessageOutcome.UNKNOWN
        except (SMTPException, OSError):
            await self.close()
            return MessageOutcome.UNKNOWN
        return MessageOutcome.SENT

    async def _connected(self) -> SMTP:
        if self._smtp is None or not self._smtp.is_connected:
            self._smtp = SMTP(
                hostname=self._host, port=self._port, timeout=self.TIMEOUT, local_hostname=socket.gethostname()
            )
            await self._smtp.connect()
        return self._smtp

    async def close(self) -> None:
        """Drop the connection; the next mail opens another."""
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


class CountingTransport:
    """Sends nothing and counts; takes the mail server out of a measurement."""

    def __init__(self) -> None:
        self.at_once = 500
        self.sent = 0

    async def send(self, _mail: Mail) -> MessageOutcome:
        """Count it."""
        self.sent += 1
        return MessageOutcome.SENT

    async def close(self) -> None:
        """Nothing is open."""


def _mime(mail: Mail, mail_from: str, now: datetime) -> bytes:
    """The mail on the wire; marked as automatic, so that no autoresponder answers (RFC 3834)."""
    message = EmailMessage(policy=WIRE)
    message["From"] = mail_from
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{mail.message_id}@{parseaddr(mail_from)[1].rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text, cte="quoted-printable")
    message["Content-Language"] = mail.language
    return message.as_bytes()
