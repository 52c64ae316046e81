"""Lines keep their numbers, however the stream is cut."""

import tracemalloc
from collections.abc import AsyncIterator

import pytest

from services.intake.api.imports import numbered_lines
from shared.web.limits import BODY_BYTES


async def lines_of(*chunks: bytes) -> list[tuple[int, bytes | None]]:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [numbered async for numbered in numbered_lines(stream())]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
async def test_a_line_may_come_in_pieces(size: int) -> None:
    content = b"ab\n\n c\r\nde"

    found = await lines_of(*(content[start : start + size] for start in range(0, len(content), size)))

    assert found == [(1, b"ab"), (3, b" c\r"), (4, b"de")]


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_a_byte_order_mark_is_left_out(size: int) -> None:
    for content, lines in ((b"a\nb", [(1, b"a"), (2, b"b")]), (b"a", [(1, b"a")]), (b"", [])):
        marked = b"\xef\xbb\xbf" + content
        assert await lines_of(*(marked[start : start + size] for start in range(0, len(marked), size))) == lines


async def test_an_endless_line_costs_no_memory() -> None:
    chunk = b"x" * BODY_BYTES
    tracemalloc.start()

    found = await lines_of(*(chunk for _ in range(100)))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [(1, None)]
    assert peak < 10 * BODY_BYTES


async def test_a_line_above_the_limit_costs_its_neighbours_nothing() -> None:
    chunk = b"x" * (BODY_BYTES // 2 + 1)

    assert await lines_of(b"a\n", chunk, chunk, chunk, chunk, b"\nb\n" + 3 * chunk + b"\n", b"c") == [
        (1, b"a"),
        (2, None),
        (3, b"b"),
        (4, None),
        (5, b"c"),
    ]
