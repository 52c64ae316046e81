"""The mail sink keeps each mail as one file, whole or not at all."""

import smtplib
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from deploy.embedded.daemon import Home
from deploy.embedded.mail import MailSink
from deploy.embedded.ports import free_ports


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    [port] = free_ports(1)
    sink = MailSink(Home(tmp_path), port=port, folder=tmp_path / "mail")
    sink.start()
    yield port
    sink.stop()


def a_mail(subject: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "office@example.org", "visitor@example.org", subject
    mail.set_content("Вітаємо\n.\nأهلا")
    return mail


def test_each_mail_becomes_one_file_with_its_content(port: int, tmp_path: Path) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.send_message(a_mail("erste"))
        client.send_message(a_mail("zweite"))

    files = sorted((tmp_path / "mail").iterdir())
    mails = [message_from_bytes(file.read_bytes(), policy=default) for file in files]
    assert [mail["Subject"] for mail in mails] == ["erste", "zweite"]
    assert [file.suffix for file in files] == [".eml", ".eml"]
    assert mails[0].get_content().splitlines() == ["Вітаємо", ".", "أهلا"]


def test_a_mail_that_cannot_be_stored_is_not_taken(port: int, tmp_path: Path) -> None:
    (tmp_path / "mail").rmdir()
    with smtplib.SMTP("127.0.0.1", port) as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.send_message(a_mail("verloren"))
    assert refused.value.smtp_code == 451
