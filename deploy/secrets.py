"""What is secret on this machine: made at random at the first start, in a folder that only its owner may read."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class Secrets:
    """A folder (0700) with a file (0600) for each secret. A file is there as a whole or not at all."""

    folder: Path

    def password(self, name: str) -> str:
        """The password of that name, 256 random bits in hexadecimal; made when it is first asked for."""
        path = self.folder / name
        if not path.exists():
            draft = self._draft(secrets.token_hex(32).encode())
            with suppress(FileExistsError):  # another process was first
                os.link(draft, path)
            draft.unlink()
        return path.read_text()

    def keep(self, name: str, content: str) -> Path:
        """Write a file of secrets, over the one before."""
        path = self.folder / name
        self._draft(content.encode()).replace(path)
        return path

    def _draft(self, content: bytes) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / f".{uuid4().hex}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return draft
