"""An agreement as a table of who takes what, and what changes from one to the next."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

from pydantic import BaseModel

from services.routing.domain.agreement import Agreement, Rule
from services.routing.domain.needs import Area, Box, Needs, Period, listed
from shared.contracts.codes import Concern

NOBODY: Final = "nobody"
_NONE: Final = "-"


@dataclass(frozen=True, slots=True)
class Coverage:
    """A line of the coverage table: who takes these ages of one field, within these limits, by which rule."""

    code: Concern
    ages: str
    takers: str
    limits: str
    rule: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one agreement says and what the other says instead; `-` for nothing."""

    where: str
    before: str
    after: str


def coverage(agreement: Agreement) -> Iterator[Coverage]:
    """Who takes what, every need once: by field, the common rules before the special ones, then what nobody takes."""
    term = (agreement.valid_from, agreement.valid_to)
    for code in Concern:
        rules = agreement.rules_by_field.get(code, ())
        needs = Needs(rules, term)
        open_ = needs.everything
        for rule, area in sorted(needs.decided(rules), key=lambda decided: decided[0].rank):
            open_ &= ~area
            for box in needs.boxes(area):
                yield Coverage(code, box.ages or "all", told(rule), box.limits, rule.id)
        for box in needs.boxes(open_):
            yield Coverage(code, box.ages or "all", NOBODY, box.limits, "")


def told(rule: Rule) -> str:
    """Who takes it and how, in words."""
    if rule.sheet:
        return f"sheet {rule.sheet}"
    notes = [
        f"by {listed(rule.turn)}" if rule.turn else "",
        f"within {rule.response_days} working days" if rule.response_days else "",
        f"may hand on to {listed(rule.hand_on_to)}" if rule.hand_on_to else "",
    ]
    takers = listed(rule.takers)
    return f"{takers} ({'; '.join(filter(None, notes))})" if any(notes) else takers


def diff(old: Agreement, new: Agreement) -> Iterator[Change]:
    """What changes in term, clocks, partners and in who takes what.

    Every day of the new term is compared with the same day of the old one, or the day of its term that is nearest.
    """
    yield from _changes("", old, new, without=("clocks", "partners", "rules", "basis", "why"))
    yield from _changes("clocks: ", old.clocks, new.clocks)
    for id_ in dict.fromkeys(chain(old.partners_by_id, new.partners_by_id)):
        before, after = old.partners_by_id.get(id_), new.partners_by_id.get(id_)
        if before and after:
            yield from _changes(f"partners: {id_}: ", before, after)
        else:
            yield Change(f"partners: {id_}", before.name if before else _NONE, after.name if after else _NONE)
    for code in Concern:
        term = (new.valid_from, new.valid_to)
        yield from _takers(code, _lasting(old, code, "old"), _lasting(new, code, "new"), term)


def _lasting(agreement: Agreement, code: Concern, mark: str) -> list[Rule]:
    """The field's rules as if the first and the last day of the term went on for ever, with ids of their own."""
    return [
        rule.model_copy(
            update={
                "id": f"{mark}-{rule.id}",
                "valid_from": None if rule.is_valid(agreement.valid_from) else rule.valid_from,
                "valid_to": None if rule.is_valid(agreement.valid_to) else rule.valid_to,
            }
        )
        for rule in agreement.rules_by_field.get(code, ())
    ]


def _takers(code: Concern, before: list[Rule], after: list[Rule], term: Period) -> Iterator[Change]:
    needs = Needs([*before, *after], term)
    new = _areas(needs, after)
    for who, area in _areas(needs, before).items():
        for other, other_area in new.items():
            if who != other:
                yield from (Change(_place(code, box), who, other) for box in needs.boxes(area & other_area))


def _place(code: Concern, box: Box) -> str:
    return "; ".join(filter(None, (code, box.ages, box.limits)))


def _areas(needs: Needs, rules: list[Rule]) -> Mapping[str, Area]:
    """The needs by who takes them."""
    areas: dict[str, Area] = defaultdict(int)
    open_ = needs.everything
    for rule, area in needs.decided(rules):
        areas[told(rule)] |= area
        open_ &= ~area
    areas[NOBODY] |= open_
    return areas


def _changes(prefix: str, before: BaseModel, after: BaseModel, without: Collection[str] = ()) -> Iterator[Change]:
    for key in type(before).model_fields:
        if key not in without and (value := getattr(before, key)) != (other := getattr(after, key)):
            yield Change(f"{prefix}{key}", _shown(value), _shown(other))


def _shown(value: object) -> str:
    if isinstance(value, frozenset | tuple):
        return listed(sorted(value) if isinstance(value, frozenset) else value) or _NONE
    return _NONE if value is None else str(value)
