"""A cursor leads back to where it was made, for nobody but its owner."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.domain.cursors import ForgedCursorError, cursor_of, positions_of

KEY = b"of the tests"
positions = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12).map(lambda offsets: dict(enumerate(offsets)))
partners = st.sampled_from(["awo", "vhs", "a", "awo-2"])


@given(partners, positions)
def test_it_holds_every_position(partner: str, where: dict[int, int]) -> None:
    assert positions_of(partner, cursor_of(partner, where, KEY), KEY) == where


@given(partners, partners, positions)
def test_it_is_its_owner_s_alone(owner: str, other: str, where: dict[int, int]) -> None:
    if owner != other:
        with pytest.raises(ForgedCursorError):
            positions_of(other, cursor_of(owner, where, KEY), KEY)


@given(positions, st.data())
def test_one_bit_makes_it_a_forgery(where: dict[int, int], data: st.DataObject) -> None:
    cursor = cursor_of("awo", where, KEY)
    written = bytearray(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    written[data.draw(st.integers(0, len(written) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(ForgedCursorError):
        positions_of("awo", urlsafe_b64encode(written).decode().rstrip("="), KEY)


@given(positions)
def test_another_key_makes_all_of_them_forgeries(where: dict[int, int]) -> None:
    with pytest.raises(ForgedCursorError):
        positions_of("awo", cursor_of("awo", where, b"of yesterday"), KEY)


@given(st.text(max_size=200))
def test_whatever_is_no_cursor_is_a_forgery(text: str) -> None:
    with pytest.raises(ForgedCursorError):
        positions_of("awo", text, KEY)
