"""A cursor is ours or it is refused."""

from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import pytest

from shared.contracts.base import new_id
from shared.web.cursor import cursor_at, position_at
from shared.web.problems import ProblemError


def test_a_cursor_leads_back_to_its_position() -> None:
    position = (datetime(2026, 11, 23, 9, 0, 0, 123000, tzinfo=UTC), new_id())

    assert position_at(cursor_at(position)) == position


@pytest.mark.parametrize("cursor", ["", "x", "ö", "AAAA", "MjAyNi0xMS0yMyB4", "=" * 90])
def test_a_cursor_of_somebody_else_is_named(cursor: str) -> None:
    with pytest.raises(ProblemError) as refused:
        position_at(cursor)

    assert refused.value.status_code == 422
    assert refused.value.errors[0]["parameter"] == "cursor"


@pytest.mark.parametrize("moment", ["2026-11-23T09:00:00", "0001-01-01T00:00:00+23:59", "yesterday"])
def test_a_cursor_with_another_moment_than_ours_is_named(moment: str) -> None:
    """The store could not look for it: in UTC the second one lies before the first year."""
    with pytest.raises(ProblemError):
        position_at(urlsafe_b64encode(f"{moment} {new_id()}".encode()).decode())
