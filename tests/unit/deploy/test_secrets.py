"""What is secret is made once, read by its owner only, and renewed in time."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from cryptography import x509

from deploy.secrets import CERTIFICATE_LASTS, Secrets, sweep, write_private

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def certificate_in(path: Path) -> x509.Certificate:
    [found] = x509.load_pem_x509_certificates(path.read_bytes())
    return found


def test_a_password_is_made_once(tmp_path: Path) -> None:
    first, other = Secrets(tmp_path / "secrets"), Secrets(tmp_path / "elsewhere")

    assert first.password("kafka-intake") == Secrets(tmp_path / "secrets").password("kafka-intake")
    assert len({first.password("kafka-intake"), first.password("kafka-routing"), other.password("kafka-intake")}) == 3
    assert len(first.password("kafka-intake")) == 64


def test_only_their_owner_may_read_them_and_no_draft_is_left(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets")
    secrets.password("kafka-intake")
    secrets.certificate("broker")

    files = list(secrets.folder.iterdir())
    assert mode_of(secrets.folder) == 0o700
    assert {mode_of(file) for file in files} == {0o600}
    assert {file.name for file in files} == {"kafka-intake", "ca.key", "ca.pem", "broker.pem"}


def test_a_certificate_is_renewed_when_it_ends_within_thirty_days_and_its_authority_stays(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    path = secrets.certificate("broker", NOW)
    first, authority = certificate_in(path), secrets.authority.read_bytes()

    secrets.certificate("broker", NOW + CERTIFICATE_LASTS - 31 * DAY)
    assert certificate_in(path) == first

    secrets.certificate("broker", NOW + CERTIFICATE_LASTS - 29 * DAY)
    assert certificate_in(path).not_valid_after_utc > first.not_valid_after_utc
    assert secrets.authority.read_bytes() == authority


def test_an_authority_that_ends_is_followed_by_another_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    secrets.certificate("broker", NOW)
    former = certificate_in(secrets.authority)

    path = secrets.certificate("broker", former.not_valid_after_utc - DAY)

    certificate_in(path).verify_directly_issued_by(certificate_in(secrets.authority))
    assert certificate_in(secrets.authority) != former


def test_drafts_of_who_was_killed_are_swept_away_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_private(tmp_path / "awo.env", "kept")
    (tmp_path / ".hidden").touch()
    monkeypatch.setattr(Path, "replace", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_private(tmp_path / "vhs.env", "secret")
    assert len(list(tmp_path.iterdir())) == 3

    sweep(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == {"awo.env", ".hidden"}
