"""Which needs a rule fits, as areas that can be united, cut and told in words.

A need has an age, a town, a target group or none, a language, a sub-topic or none, and a day. Those of one field of
work are laid out as a grid whose lines are the rules' own limits. An area is an integer with one bit a cell, so
thousands of rules are compared in a moment.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from itertools import pairwise
from math import prod
from typing import Any, Final, TypeAlias

from services.routing.domain.agreement import Rule
from shared.contracts.codes import AgeBand, Municipality, SubTopic, TargetGroup

Area: TypeAlias = int
Period: TypeAlias = tuple[date, date]
"""The first and the last day."""
_Indices: TypeAlias = tuple[tuple[int, ...], ...]
"""For each axis the stretches that are meant."""


class Criterion(IntEnum):
    """A criterion of which one person may have several values, by the place of its axis."""

    TARGET_GROUP = 2
    LANGUAGE = 3


@dataclass(frozen=True, slots=True)
class Box:
    """A part of an area: these ages, and whatever else limits it, in words."""

    ages: str
    limits: str

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.ages, self.limits))) or "anybody"


class Needs:
    """All needs of one field of work."""

    def __init__(self, rules: Sequence[Rule], term: Period) -> None:
        self._axes = [
            _told_apart(rules, tuple(AgeBand), lambda rule, value: value in rule.ages),
            _told_apart(rules, tuple(Municipality), lambda rule, value: _fits(rule.towns, value)),
            _told_apart(rules, (*TargetGroup, None), lambda rule, value: _fits(rule.target_groups, value)),
            _told_apart(rules, _languages(rules), lambda rule, value: _fits(rule.languages, value)),
            _told_apart(rules, (*SubTopic, None), lambda rule, value: _fits(rule.sub_topics, value)),
            _told_apart(rules, _periods(rules, term), lambda rule, value: rule.is_valid(value[0])),
        ]
        cells = 1
        for axis in self._axes:
            cells *= len(axis.stretches)
        self.everything: Area = (1 << cells) - 1
        self._areas = {rule.id: self._area(rule) for rule in rules}

    def area(self, rule: Rule) -> Area:
        """The needs it fits, whatever other rules say."""
        return self._areas[rule.id]

    def decided(self, rules: Iterable[Rule]) -> Iterator[tuple[Rule, Area]]:
        """Each rule, the most special first, with the needs it decides: those that none before it fits."""
        taken = 0
        for rule in sorted(rules, key=lambda rule: -rule.rank):
            area = self.area(rule)
            yield rule, area & ~taken
            taken |= area

    def first(self, area: Area) -> Box:
        """One place of an area that is not empty."""
        return self._box(tuple((index,) for index in self._cell(_lowest(area))))

    def without(self, criterion: Criterion, area: Area) -> Area:
        """The needs that are in the area with any value of the criterion, each once."""
        width, count = self._steps(criterion)
        one_value = self.everything // ((1 << width * count) - 1) * ((1 << width) - 1)
        found = 0
        for number in range(count):
            found |= area >> number * width & one_value
        return found

    def by_two(self, criterion: Criterion, one: Area, other: Area) -> str:
        """Somebody whom one value brings into the one area and another into the other: `without` it they meet."""
        cell = _lowest(self.without(criterion, one) & self.without(criterion, other))
        width, count = self._steps(criterion)
        axis = self._axes[criterion]
        values = (
            next(axis.stretches[number][0] for number in range(count) if area >> cell + number * width & 1)
            for area in (one, other)
        )
        indices: list[tuple[int, ...]] = [(index,) for index in self._cell(cell)]
        indices[criterion] = tuple(range(count))
        word = criterion.name.lower().replace("_", " ")
        return f"{self._box(tuple(indices))}; {word} {' and '.join(values)}".removeprefix("anybody; ")

    def _steps(self, criterion: Criterion) -> tuple[int, int]:
        """How many cells lie between two neighbours on an axis, and how many these are."""
        return prod(len(axis.stretches) for axis in self._axes[:criterion]), len(self._axes[criterion].stretches)

    def boxes(self, area: Area) -> list[Box]:
        """The whole area in few parts."""
        cells = [number for number, bit in enumerate(reversed(f"{area:b}")) if bit == "1"]
        boxes: list[_Indices] = [tuple((index,) for index in self._cell(number)) for number in cells]
        for position in reversed(range(len(self._axes))):
            alike: dict[_Indices, tuple[int, ...]] = defaultdict(tuple)
            for box in boxes:
                alike[box[:position] + box[position + 1 :]] += box[position]
            boxes = [(*rest[:position], indices, *rest[position:]) for rest, indices in alike.items()]
        return [self._box(box) for box in boxes]

    def _area(self, rule: Rule) -> Area:
        area, width = 1, 1
        for axis in self._axes:
            area = sum(area << (number * width) for number in axis.of[rule.id])
            width *= len(axis.stretches)
        return area

    def _cell(self, number: int) -> list[int]:
        indices = []
        for axis in self._axes:
            number, index = divmod(number, len(axis.stretches))
            indices.append(index)
        return indices

    def _box(self, indices: _Indices) -> Box:
        ages, *limits = (
            tell(axis.missing(chosen), axis.values(chosen))
            for axis, chosen, tell in zip(self._axes, indices, _TELL, strict=True)
        )
        return Box(ages, "; ".join(filter(None, limits)))


@dataclass(frozen=True, slots=True)
class _Axis:
    """The values of one criterion in stretches that no rule tells apart, and by rule the stretches that it fits."""

    order: Mapping[Any, int]
    stretches: tuple[tuple[Any, ...], ...]
    of: Mapping[str, tuple[int, ...]]

    def values(self, chosen: Sequence[int]) -> list[Any]:
        return sorted((value for number in chosen for value in self.stretches[number]), key=self.order.__getitem__)

    def missing(self, chosen: Sequence[int]) -> list[Any]:
        return self.values([number for number in range(len(self.stretches)) if number not in chosen])


def _lowest(area: Area) -> int:
    return (area & -area).bit_length() - 1


def listed(values: Iterable[object]) -> str:
    """The values in a line."""
    return ", ".join(map(str, values))


def _told_apart(rules: Sequence[Rule], values: Sequence[Any], fits: Callable[[Rule, Any], bool]) -> _Axis:
    alike: dict[int, list[Any]] = defaultdict(list)
    for value in values:
        alike[sum(fits(rule, value) << number for number, rule in enumerate(rules))].append(value)
    fitting = {
        rule.id: tuple(index for index, mask in enumerate(alike) if mask >> number & 1)
        for number, rule in enumerate(rules)
    }
    order = {value: number for number, value in enumerate(values)}
    return _Axis(order, tuple(map(tuple, alike.values())), fitting)


def _fits(named: frozenset[Any] | None, value: object) -> bool:
    return named is None or value in named


def _languages(rules: Iterable[Rule]) -> tuple[str | None, ...]:
    """Those that rules name, and None for any other."""
    return (*sorted({language for rule in rules for language in rule.languages or ()}), None)


def _periods(rules: Iterable[Rule], term: Period) -> tuple[Period, ...]:
    first, last = term
    begins = {first}
    for rule in rules:
        if rule.valid_from and first < rule.valid_from <= last:
            begins.add(rule.valid_from)
        if rule.valid_to and first <= rule.valid_to < last:
            begins.add(rule.valid_to + timedelta(days=1))
    days = sorted(begins)
    return (*((one, other - timedelta(days=1)) for one, other in pairwise(days)), (days[-1], last))


def _ages(missing: Sequence[Any], values: Sequence[Any]) -> str:
    return listed(values) if missing else ""


def _towns(missing: Sequence[Any], values: Sequence[Any]) -> str:
    if not missing:
        return ""
    return listed(values) if len(values) <= len(missing) else f"towns other than {listed(missing)}"


def _named(word: str) -> Callable[[Sequence[Any], Sequence[Any]], str]:
    def tell(missing: Sequence[Any], values: Sequence[Any]) -> str:
        if not missing:
            return ""
        return f"{word} other than {listed(missing)}" if None in values else f"{word} {listed(values)}"

    return tell


def _days(missing: Sequence[Any], values: Sequence[Any]) -> str:
    return listed(f"{first} to {last}" for first, last in values) if missing else ""


_TELL: Final = (_ages, _towns, _named("target group"), _named("language"), _named("sub-topic"), _days)
