"""What was measured, as rows of one table and of one JSON file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `value` and `peer` are medians in `unit`, `spread` is the largest value less the smallest.

    `ratio` is value to peer; `goal` says in words what `met` judges.
    """

    name: str
    value: float
    unit: str
    spread: float
    peer: float | None = None
    ratio: float | None = None
    goal: str | None = None
    met: bool | None = None


def plain(name: str, values: Sequence[float], unit: str) -> Figure:
    """A figure that is to be known and has no goal."""
    return Figure(name, median(values), unit, _spread(values))


def at_least(name: str, values: Sequence[float], unit: str, goal: float) -> Figure:
    """A figure that should not be smaller than `goal`."""
    value = median(values)
    return Figure(name, value, unit, _spread(values), goal=f">= {goal:g}", met=value >= goal)


def at_most(name: str, values: Sequence[float], unit: str, goal: float) -> Figure:
    """A figure that should not be larger than `goal`."""
    value = median(values)
    return Figure(name, value, unit, _spread(values), goal=f"<= {goal:g}", met=value <= goal)


def beside(
    name: str,
    values: Sequence[float],
    unit: str,
    peer: Sequence[float],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    """A figure beside that of a peer; the goal is for the ratio of their medians."""
    value, other = median(values), median(peer)
    ratio = value / other
    if at_least is not None:
        goal, met = f">= {at_least:g} x peer", ratio >= at_least
    elif at_most is not None:
        goal, met = f"<= {at_most:g} x peer", ratio <= at_most
    else:
        goal, met = None, None
    return Figure(name, value, unit, _spread(values), other, ratio, goal, met)


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the table."""
    table = Table("name", box=None, pad_edge=False)
    for column in ("value", "unit", "spread", "peer", "ratio", "goal", "met"):
        table.add_column(column, justify="left" if column in ("unit", "goal") else "right", no_wrap=True)
    for figure in figures:
        table.add_row(
            figure.name,
            _short(figure.value),
            figure.unit,
            _short(figure.spread),
            _short(figure.peer),
            _short(figure.ratio),
            figure.goal or "",
            {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[figure.met],
        )
    console.print(table)


def keep(figures: Sequence[Figure], file: Path) -> None:
    """Write the JSON file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(figure) for figure in figures], indent=2, ensure_ascii=False) + "\n")


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _short(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
