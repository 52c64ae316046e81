"""What is secret on this machine: made at random at the first start, in a folder that only its owner may read."""

import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

AUTHORITY_LASTS: Final = timedelta(days=3650)
CERTIFICATE_LASTS: Final = timedelta(days=365)
RENEWED_BEFORE_END: Final = timedelta(days=30)
_CLOCKS_DIFFER: Final = timedelta(days=1)
_DRAFT: Final = re.compile(r"\.[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Secrets:
    """A folder (0700) with a file (0600) for each secret. A file is there as a whole or not at all."""

    folder: Path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else who asks for this changes anything meanwhile; who does is waited for."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(self.folder / "lock", os.O_WRONLY | os.O_CREAT, 0o600), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def password(self, name: str) -> str:
        """The password of that name, 256 random bits in hexadecimal; made when it is first asked for."""
        path = self.folder / name
        if not path.exists():
            draft = _draft(self.folder, secrets.token_hex(32))
            with suppress(FileExistsError):  # another process was first
                os.link(draft, path)
            draft.unlink()
        return path.read_text()

    def known(self, name: str) -> str | None:
        """The password of that name, None where there is none."""
        path = self.folder / name
        return path.read_text() if path.exists() else None

    def renew(self, name: str) -> str:
        """Another password of that name, from now on."""
        self.keep(name, secrets.token_hex(32))
        return self.password(name)

    def keep(self, name: str, content: str) -> Path:
        """Write a file of secrets, over the one before."""
        path = self.folder / name
        write_private(path, content)
        return path

    @property
    def authority(self) -> Path:
        """The certificate (PEM) that clients check servers against; not secret."""
        return self.folder / "ca.pem"

    def certificate(self, name: str, now: datetime | None = None) -> Path:
        """Key and certificate (PEM) of a server on this machine; made anew where they end within 30 days."""
        now = now or datetime.now(UTC)
        path, key_path = self.folder / f"{name}.pem", self.folder / "ca.key"
        if not _lasts(self.authority, now):
            key = ec.generate_private_key(ec.SECP256R1())
            self.keep(key_path.name, _pem(key))
            self.keep(self.authority.name, _text(_authority(key, now)))
            path.unlink(missing_ok=True)
        if not _lasts(path, now):
            authority_key = load_pem_private_key(key_path.read_bytes(), None)
            assert isinstance(authority_key, EllipticCurvePrivateKey), "it was made above"
            key = ec.generate_private_key(ec.SECP256R1())
            [authority] = x509.load_pem_x509_certificates(self.authority.read_bytes())
            self.keep(path.name, _pem(key) + _text(_issued(name, key, authority, authority_key, now)))
        return path


def password_file(user: str) -> str:
    """Under which name the password of a user of Kafka is kept."""
    return f"kafka-{user}"


def client_file(client: str) -> str:
    """Under which name the secret of a client of the issuer is kept."""
    return f"client-{client}"


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner may read, as a whole, over the one before."""
    _draft(path.parent, content).replace(path)


def sweep(folder: Path) -> None:
    """Remove drafts that somebody who was killed left there; only while nobody writes."""
    for path in folder.glob(".*"):
        if _DRAFT.fullmatch(path.name):
            path.unlink()


def _draft(folder: Path, content: str) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f".{uuid4().hex}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft


def _lasts(path: Path, now: datetime) -> bool:
    if not path.exists():
        return False
    [certificate] = x509.load_pem_x509_certificates(path.read_bytes())
    return certificate.not_valid_after_utc - now > RENEWED_BEFORE_END


def _authority(key: EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = _name("integrationsbuero on this machine")
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # to sign certificates only
    return (
        _begun(name, name, key, now, AUTHORITY_LASTS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def _issued(
    name: str,
    key: EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    here = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _begun(_name(name), authority.subject, key, now, CERTIFICATE_LASTS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(here, critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _begun(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, now: datetime, lasts: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
