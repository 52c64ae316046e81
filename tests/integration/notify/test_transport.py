"""Mail over real SMTP: what arrives, and what is known about a mail when the server does not play along."""

from collections.abc import AsyncIterator

import pytest
from mail_server import MailServer

from deploy.embedded.ports import free_ports
from services.notify.letters import Mail
from services.notify.transport import NotSentError, SmtpTransport, UnreachableError
from shared.contracts.base import derived_id
from shared.contracts.codes import MessageOutcome

FROM = "Integrationsbüro <termine@integrationsbuero.example.org>"


def a_mail(*, to: str = "oezlem@example.org", text: str = "Guten Tag Özlem Işık,\n.\nlديكم موعد.\n") -> Mail:
    return Mail(message_id=derived_id("message"), to=to, subject="Ihr Termin: März", text=text, language="de")


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with MailServer() as server:
        yield server


@pytest.fixture
async def transport(server: MailServer) -> AsyncIterator[SmtpTransport]:
    transport = SmtpTransport("127.0.0.1", server.port, FROM)
    yield transport
    await transport.close()


async def test_a_mail_arrives_as_it_was_written(server: MailServer, transport: SmtpTransport) -> None:
    assert await transport.send(a_mail()) is MessageOutcome.SENT

    [mail] = server.mails
    assert mail["From"] == FROM
    assert mail["To"] == "oezlem@example.org"
    assert mail["Subject"] == "Ihr Termin: März"
    assert mail["Message-ID"].strip() == f"<{derived_id('message')}@integrationsbuero.example.org>"
    assert mail["Content-Language"] == "de"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().replace("\r\n", "\n") == a_mail().text


async def test_one_connection_carries_many_mails(server: MailServer, transport: SmtpTransport) -> None:
    for _ in range(5):
        await transport.send(a_mail())

    assert (len(server.mails), server.connections) == (5, 1)


async def test_a_recipient_refused_for_good_has_failed(server: MailServer, transport: SmtpTransport) -> None:
    server.at_rcpt = "550 No such user"

    assert await transport.send(a_mail()) is MessageOutcome.FAILED

    server.at_rcpt = "250 OK"
    assert await transport.send(a_mail()) is MessageOutcome.SENT


async def test_a_recipient_refused_for_now_can_be_tried_later(server: MailServer, transport: SmtpTransport) -> None:
    server.at_rcpt = "450 Greylisted"

    with pytest.raises(NotSentError) as refusal:
        await transport.send(a_mail())

    assert not isinstance(refusal.value, UnreachableError)


@pytest.mark.parametrize(("answer", "outcome"), [("554 Spam", MessageOutcome.FAILED), (None, MessageOutcome.UNKNOWN)])
async def test_once_the_text_is_handed_over_only_a_clear_answer_counts(
    server: MailServer, transport: SmtpTransport, answer: str | None, outcome: MessageOutcome
) -> None:
    server.at_data = answer

    assert await transport.send(a_mail()) is outcome


async def test_a_text_the_server_could_not_store_can_be_sent_later(
    server: MailServer, transport: SmtpTransport
) -> None:
    server.at_data = "451 Disk full"

    with pytest.raises(NotSentError):
        await transport.send(a_mail())


async def test_without_a_server_nothing_went_out() -> None:
    [port] = free_ports(1)

    with pytest.raises(UnreachableError):
        await SmtpTransport("127.0.0.1", port, FROM).send(a_mail())


async def test_a_connection_the_server_closed_meanwhile_is_opened_again() -> None:
    async with MailServer() as first:
        transport = SmtpTransport("127.0.0.1", first.port, FROM)
        await transport.send(a_mail())
        await transport.close()
    async with MailServer(port=first.port) as second:
        assert await transport.send(a_mail()) is MessageOutcome.SENT
        await transport.close()
    assert len(second.mails) == 1


@pytest.mark.parametrize("address", ["özlem@example.org", "a@b\r\nRCPT TO:<c@d>", "a@b, c@d", "nobody", "", "a b@c"])
async def test_an_address_that_is_none_fails_without_a_word_to_the_server(
    server: MailServer, transport: SmtpTransport, address: str
) -> None:
    assert await transport.send(a_mail(to=address)) is MessageOutcome.FAILED
    assert server.connections == 0
