"""A cursor is ours or it is refused."""

import pytest
from intake_builders import NOW

from services.intake.api.cursor import cursor_at, position_at
from shared.contracts.base import new_id
from shared.web.problems import ProblemError


def test_a_cursor_leads_back_to_its_position() -> None:
    position = (NOW, new_id())

    assert position_at(cursor_at(position)) == position


@pytest.mark.parametrize("cursor", ["", "x", "ö", "AAAA", "MjAyNi0xMS0yMyB4", "=" * 90])
def test_a_cursor_of_somebody_else_is_named(cursor: str) -> None:
    with pytest.raises(ProblemError) as refused:
        position_at(cursor)

    assert refused.value.status_code == 422
    assert refused.value.errors[0]["parameter"] == "cursor"
