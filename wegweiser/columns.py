"""Tables of plain lines: they can be read on any terminal and cut by any tool."""

from collections.abc import Iterator, Sequence


def aligned(head: Sequence[str], rows: Sequence[Sequence[str | int]]) -> Iterator[str]:
    """The lines of a table, head first; numbers stand at the right of their column, and `-` for none."""
    lines = [tuple(head), *(tuple(map(str, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    numeric = [bool(rows) and all(isinstance(row[i], int) or row[i] == "-" for row in rows) for i in range(len(head))]
    for line in lines:
        cells = zip(line, widths, numeric, strict=True)
        yield "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells).rstrip()
