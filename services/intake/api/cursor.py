"""The opaque cursor of a list: where the last page ended."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Final

from services.intake.repository import Position
from shared.contracts.base import UUID_PATTERN
from shared.web.problems import parameter_not_valid

_CASE: Final = re.compile(UUID_PATTERN)


def cursor_at(position: Position) -> str:
    """The cursor that continues after `position`."""
    received_at, case_id = position
    return urlsafe_b64encode(f"{received_at.isoformat()} {case_id}".encode()).decode()


def position_at(cursor: str) -> Position:
    """The position in a cursor; raises a problem where it is not one of ours."""
    try:
        moment, _, case_id = urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        received_at = datetime.fromisoformat(moment)
    except (binascii.Error, ValueError):
        received_at, case_id = None, ""
    if received_at is None or received_at.tzinfo is None or not _CASE.fullmatch(case_id):
        raise parameter_not_valid("cursor", "the `next` of an earlier answer")
    return received_at, case_id
