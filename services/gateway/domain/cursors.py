"""The cursor of the feed: how far a partner has read in each partition of its queue, signed by us."""

import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Final

Positions = Mapping[int, int]
"""The next offset of each partition, numbered from 0."""

_VERSION: Final = b"1"
_SEAL_BYTES: Final = 16


class ForgedCursorError(ValueError):
    """No cursor that we gave to this partner."""


def cursor_of(owner: str, positions: Positions, key: bytes) -> str:
    """The cursor that goes on from these positions, for this owner of a queue alone."""
    packed = _VERSION + struct.pack(f">{len(positions)}Q", *(positions[number] for number in range(len(positions))))
    return urlsafe_b64encode(packed + _seal(owner, packed, key)).decode().rstrip("=")


def positions_of(owner: str, cursor: str, key: bytes) -> Positions:
    """The positions in a cursor; raises `ForgedCursorError`."""
    try:
        written = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except ValueError:
        raise ForgedCursorError from None
    packed, seal = written[:-_SEAL_BYTES], written[-_SEAL_BYTES:]
    if not hmac.compare_digest(seal, _seal(owner, packed, key)):
        raise ForgedCursorError
    return dict(enumerate(struct.unpack(f">{(len(packed) - 1) // 8}Q", packed[1:])))


def _seal(owner: str, packed: bytes, key: bytes) -> bytes:
    return hmac.digest(key, owner.encode() + b"\n" + packed, "sha256")[:_SEAL_BYTES]
