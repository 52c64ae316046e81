"""The cooperation agreement as data: which institution takes which concern of which age, and since when.

The terms are TOML files in `deploy/agreements/`, where each rule says whether it follows from the source.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import pairwise, product
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.contracts.base import AgreementVersion, PartnerId, PlaceId, RuleId
from shared.contracts.codes import AgeBand, Concern, Need
from shared.files import InvalidFileError, read_toml

OFFICE: Final = "office"
"""The taker that is no partner: the office's own front desk."""

Basis = Literal["source", "reading", "assumption"]
Text = Annotated[str, Field(min_length=1)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Partner(_Entry):
    """An institution of the agreement. `response_days` are working days; `needs` are the wishes it may learn of."""

    id: PartnerId
    name: Text
    response_days: Annotated[int, Field(ge=1, le=60)]
    places: Annotated[tuple[PlaceId, ...], Field(min_length=1)]
    needs: frozenset[Need]
    denominational: bool = False


class Rule(_Entry):
    """Who takes these fields of work at these ages; several takers are asked in turn."""

    id: RuleId
    fields: Annotated[tuple[Concern, ...], Field(min_length=1)]
    ages: Annotated[tuple[AgeBand, ...], Field(min_length=1)] = tuple(AgeBand)
    takers: Annotated[tuple[PartnerId, ...], Field(min_length=1)]
    basis: Basis
    why: Text

    @property
    def covered(self) -> Iterator[tuple[Concern, AgeBand]]:
        """Every need this rule answers."""
        return product(self.fields, self.ages)


class Agreement(_Entry):
    """One term of the agreement, from the first to the last day it is valid."""

    version: AgreementVersion
    valid_from: date
    valid_to: date
    basis: Basis
    why: Text
    partners: Annotated[tuple[Partner, ...], Field(min_length=1)]
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _contradicts_nothing(self) -> Self:
        if self.valid_to < self.valid_from:
            raise ValueError("valid_to: lies before valid_from")
        _refuse_repeated("partners", [OFFICE, *(partner.id for partner in self.partners)])
        _refuse_repeated("rules", [rule.id for rule in self.rules])
        known = {OFFICE, *self._partners_by_id}
        for rule in self.rules:
            if unknown := [taker for taker in rule.takers if taker not in known]:
                raise ValueError(f"rules: {rule.id}: takers: no partner of this agreement: {', '.join(unknown)}")
            for field, age in rule.covered:
                if self._rules_by_need[field, age] is not rule:
                    other = self._rules_by_need[field, age].id
                    raise ValueError(f"rules: {rule.id}: fields: {field} at {age} is in the rule {other} as well")
        return self

    def partner(self, partner_id: PartnerId) -> Partner:
        """The partner of that name; raises `KeyError` where the agreement has none."""
        return self._partners_by_id[partner_id]

    def rule_for(self, code: Concern, age: AgeBand) -> Rule | None:
        """The one rule that covers this field at this age."""
        return self._rules_by_need.get((code, age))

    @cached_property
    def _partners_by_id(self) -> Mapping[str, Partner]:
        return {partner.id: partner for partner in self.partners}

    @cached_property
    def _rules_by_need(self) -> Mapping[tuple[Concern, AgeBand], Rule]:
        return {need: rule for rule in self.rules for need in rule.covered}


@dataclass(frozen=True, slots=True)
class Agreements:
    """All terms, none overlapping another."""

    terms: tuple[Agreement, ...]

    def in_force(self, on: date) -> Agreement | None:
        """The term that was valid on that day in the district."""
        return next((term for term in self.terms if term.valid_from <= on <= term.valid_to), None)


def load_agreements(directory: Path) -> Agreements:
    """Read every `*.toml` of the directory; raises `InvalidFileError`."""
    terms = sorted((_load(file) for file in directory.glob("*.toml")), key=lambda term: term.valid_from)
    if not terms:
        raise InvalidFileError(str(directory), "", "holds no agreement (*.toml)")
    for earlier, later in pairwise(terms):
        if later.valid_from <= earlier.valid_to:
            raise InvalidFileError(
                f"{later.version}.toml", "valid_from", f"lies within the term of {earlier.version}.toml"
            )
    return Agreements(tuple(terms))


def _load(file: Path) -> Agreement:
    agreement = read_toml(file, Agreement)
    if agreement.version != file.stem:
        raise InvalidFileError(file.name, "version", "differs from the name of the file")
    return agreement


def _refuse_repeated(key: str, ids: Sequence[str]) -> None:
    if repeated := {id_ for id_ in ids if ids.count(id_) > 1}:
        raise ValueError(f"{key}: id: used twice: {', '.join(sorted(repeated))}")
