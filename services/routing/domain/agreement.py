"""The cooperation agreement as data: who takes which concern, since when, how fast, and what it may learn.

The terms are TOML files in `deploy/agreements/`, where each rule says whether it follows from the source; what is in
force lies in routing's database. docs/agreement.md is the guide.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, StrictBool, model_validator
from pydantic_core import PydanticCustomError

from shared.contracts.base import AgreementVersion, Language, PartnerId, PlaceId, RuleId, SheetId
from shared.contracts.codes import AgeBand, Concern, Municipality, Need, SubTopic, TargetGroup
from shared.topics import OWN_NAMES

OFFICE: Final = "office"
"""The taker that is no partner: the office's own front desk."""

BY_HAND: Final = "by-hand"
"""In the place of a rule, for an offer that no rule made: the office or a partner named the taker."""

T = TypeVar("T")


def _each_once(values: Any) -> Any:
    if isinstance(values, list | tuple):
        for value, times in Counter(value for value in values if isinstance(value, Hashable)).items():
            if times > 1:
                raise PydanticCustomError("repeated", "names {value} twice", {"value": str(value)})
    return values


def _not_ours(id_: str) -> str:
    if id_ in OWN_NAMES:
        raise PydanticCustomError("own_name", "{id} is a name of our own", {"id": id_})
    return id_


Several = Annotated[tuple[T, ...], BeforeValidator(_each_once)]
AnyOf = Annotated[frozenset[T], BeforeValidator(_each_once)]
Basis = Literal["source", "reading", "assumption"]
Text = Annotated[str, Field(min_length=1)]
Day = Annotated[date, Strict()]
Days = Annotated[int, Strict(), Field(ge=1, le=60)]
DaysOfAYear = Annotated[int, Strict(), Field(ge=1, le=366)]


class CapacityMode(StrEnum):
    """`open` takes whatever it has not reported to be full, `reported` nothing without a report that still counts."""

    OPEN = "open"
    REPORTED = "reported"


class Regime(StrEnum):
    """The data protection law an institution is under: the EU's, the Catholic or the Protestant church's own."""

    DSGVO = "dsgvo"
    KDG = "kdg"
    DSG_EKD = "dsg_ekd"


class FieldGroup(StrEnum):
    """What a partner may be shown of a person once it has accepted."""

    IDENTITY = "identity"
    CONTACT = "contact"
    LANGUAGES = "languages"
    HOUSEHOLD = "household"
    NOTES = "notes"


class Turn(StrEnum):
    """What decides between several takers, before their equal share does."""

    LANGUAGE = "language"
    LOAD = "load"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Closure(_Entry):
    """Days on which a partner is closed, the first and the last one included."""

    first: Day
    last: Day

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise ValueError("last: lies before first")
        if self.last - self.first > timedelta(days=366):
            raise ValueError("last: more than a year after first")
        return self

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


class Partner(_Entry):
    """An institution of the agreement.

    `response_days` and `grace_days` are its working days, `needs` the wishes it may learn of, `data_scope` what it may
    be shown of a person, `languages` what it counsels in without an interpreter.
    """

    id: Annotated[PartnerId, AfterValidator(_not_ours)]
    name: Text
    response_days: Days
    grace_days: Annotated[int, Strict(), Field(ge=0, le=60)] = 2
    places: Annotated[Several[PlaceId], Field(min_length=1)]
    needs: AnyOf[Need]
    capacity: CapacityMode = CapacityMode.OPEN
    data_scope: AnyOf[FieldGroup] = frozenset(FieldGroup)
    regime: Regime = Regime.DSGVO
    languages: Several[Language] = ("de",)
    closed: tuple[Closure, ...] = ()
    denominational: StrictBool = False

    @cached_property
    def closed_on(self) -> frozenset[date]:
        """The single days of all closures."""
        return frozenset(
            closure.first + timedelta(days=number)
            for closure in self.closed
            for number in range((closure.last - closure.first).days + 1)
        )


class Rule(_Entry):
    """Who takes these fields of work, of whom; None in a criterion means all.

    Takers are asked in turn. `sheet` answers in their place. A taker may hand on to `hand_on_to` also where no rule
    names those. `response_days` takes the place of the partner's own.
    """

    id: RuleId
    fields: Annotated[Several[Concern], Field(min_length=1)]
    sub_topics: AnyOf[SubTopic] | None = None
    ages: Annotated[Several[AgeBand], Field(min_length=1)] = tuple(AgeBand)
    towns: AnyOf[Municipality] | None = None
    target_groups: AnyOf[TargetGroup] | None = None
    languages: AnyOf[Language] | None = None
    takers: Several[PartnerId] = ()
    turn: Several[Turn] = ()
    sheet: SheetId | None = None
    hand_on_to: Several[PartnerId] = ()
    response_days: Days | None = None
    valid_from: Day | None = None
    valid_to: Day | None = None
    basis: Basis
    why: Text

    @property
    def rank(self) -> int:
        """How special it is: of several rules that fit, the one that names more criteria counts."""
        return sum(named is not None for named in (self.sub_topics, self.towns, self.target_groups, self.languages))

    def is_valid(self, on: date) -> bool:
        """Whether it counts on that day of the term."""
        return (self.valid_from is None or self.valid_from <= on) and (self.valid_to is None or on <= self.valid_to)


class RuleVerdict(StrEnum):
    """Whether a rule of the field fits, or the first criterion by which it does not."""

    MATCHED = "matched"
    LESS_SPECIAL = "less_special"
    AGE = "age"
    TOWN = "town"
    NOT_VALID = "not_valid"
    SUB_TOPIC = "sub_topic"
    TARGET_GROUP = "target_group"
    LANGUAGE = "language"


@dataclass(frozen=True, slots=True)
class RuleSeen:
    """A rule of the field, and why it did or did not count."""

    rule: RuleId
    verdict: RuleVerdict


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rules of one field that fit age and town, the most special first, and those that do not."""

    fitting: tuple[Rule, ...]
    others: tuple[RuleSeen, ...]


class Clocks(_Entry):
    """Terms that are the same for all partners. Working days, except the days of `reopening` and `capacity`;
    `questions` is how often a partner may ask back about one referral."""

    clarification: Days = 5
    review: Days = 20
    reopening: DaysOfAYear = 90
    capacity: DaysOfAYear = 14
    questions: Annotated[int, Strict(), Field(ge=0, le=20)] = 3


class Agreement(_Entry):
    """One term of the agreement, from the first to the last day it is valid.

    `notice` are the days before its end on which the office is warned. `replaces` names the version whose term this one
    cuts short.
    """

    version: AgreementVersion
    signed_on: Day | None = None
    valid_from: Day
    valid_to: Day
    replaces: AgreementVersion | None = None
    notice: Several[DaysOfAYear] = (90, 30)
    basis: Basis
    why: Text
    clocks: Clocks = Clocks()
    partners: Annotated[tuple[Partner, ...], Field(min_length=1)]
    rules: Annotated[tuple[Rule, ...], Field(min_length=1)]

    def partner(self, partner_id: PartnerId) -> Partner:
        """The partner of that name; raises `KeyError` where the agreement has none."""
        return self.partners_by_id[partner_id]

    @cached_property
    def partners_by_id(self) -> Mapping[PartnerId, Partner]:
        """The partners by their ids."""
        return {partner.id: partner for partner in self.partners}

    def candidates(self, code: Concern, age: AgeBand, town: Municipality) -> Candidates:
        """The rules of a field, found at a cost that does not grow with the number of partners and fields."""
        key = (code, age, town)
        found = self.sorted_out.get(key)
        if found is None:
            found = self.sorted_out[key] = _sorted_out(self.rules_by_field.get(code, ()), age, town)
        return found

    @cached_property
    def sorted_out(self) -> dict[tuple[Concern, AgeBand, Municipality], Candidates]:
        """What `candidates` found before."""
        return {}

    @cached_property
    def rules_by_id(self) -> Mapping[RuleId, Rule]:
        """The rules by their ids."""
        return {rule.id: rule for rule in self.rules}

    @cached_property
    def rules_by_field(self) -> Mapping[Concern, Sequence[Rule]]:
        """The rules of each field of work, in their order."""
        rules: dict[Concern, list[Rule]] = {}
        for rule in self.rules:
            for code in rule.fields:
                rules.setdefault(code, []).append(rule)
        return rules


def _sorted_out(rules: Iterable[Rule], age: AgeBand, town: Municipality) -> Candidates:
    fitting: list[Rule] = []
    others: list[RuleSeen] = []
    for rule in rules:
        if age not in rule.ages:
            others.append(RuleSeen(rule.id, RuleVerdict.AGE))
        elif rule.towns is not None and town not in rule.towns:
            others.append(RuleSeen(rule.id, RuleVerdict.TOWN))
        else:
            fitting.append(rule)
    return Candidates(tuple(sorted(fitting, key=lambda rule: -rule.rank)), tuple(others))


@dataclass(frozen=True, slots=True)
class Agreements:
    """All terms. Where one replaces another before its end, that one is over on the later one's first day, for good."""

    terms: tuple[Agreement, ...] = ()
    _by_day: dict[date, Agreement | None] = field(default_factory=dict, compare=False, repr=False)

    def in_force(self, on: date) -> Agreement | None:
        """The term that was valid on that day in the district."""
        if on not in self._by_day:
            over = {term.replaces for term in self.terms if term.valid_from <= on}
            valid = (t for t in self.terms if t.valid_from <= on <= t.valid_to and t.version not in over)
            self._by_day[on] = next(valid, None)
        return self._by_day[on]

    def __iter__(self) -> Iterator[Agreement]:
        return iter(self.terms)
