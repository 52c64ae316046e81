"""The opaque cursor of a list: where the last page ended."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Final

from shared.contracts.base import UUID_PATTERN
from shared.web.problems import ProblemError, parameter_not_valid

Position = tuple[datetime, str]
"""The moment (UTC) and the id that a page ends with."""

_ID: Final = re.compile(UUID_PATTERN)


def cursor_at(position: Position) -> str:
    """The cursor that continues after `position`."""
    moment, id_ = position
    return urlsafe_b64encode(f"{moment.isoformat()} {id_}".encode()).decode()


def position_at(cursor: str) -> Position:
    """The position in a cursor; raises a problem where it is not one of ours."""
    try:
        written, _, id_ = urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        moment = datetime.fromisoformat(written)
    except (binascii.Error, ValueError):
        raise not_ours() from None
    if moment.utcoffset() != timedelta() or not _ID.fullmatch(id_):
        raise not_ours()
    return moment, id_


def not_ours() -> ProblemError:
    """The problem with a cursor that no list of ours gave."""
    return parameter_not_valid("cursor", "the `next` of an earlier answer")
