"""What is wrong with an agreement, or worth a second look, before anybody is routed by it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import combinations, groupby, pairwise
from typing import Final

from services.routing.domain.agreement import BY_HAND, OFFICE, Agreement, Closure, Partner, Rule
from services.routing.domain.needs import Area, Box, Criterion, Needs, listed
from shared.contracts.base import PartnerId
from shared.contracts.codes import Concern
from shared.days import working_days_after

_TOLD: Final = 5
"""Warnings of one kind that are spelt out, a field of work."""

_LONG: Final = timedelta(days=60)
"""Whoever waits longer for a partner's answer should know that before it is agreed."""


class Severity(StrEnum):
    """An error forbids to activate the agreement."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found; `where` is the place in the file, `what` a sentence for whoever wrote it."""

    severity: Severity
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.what}"


def check(agreement: Agreement, others: Iterable[Agreement], today: date) -> tuple[Finding, ...]:
    """Everything found in an agreement beside the `others`, errors first."""
    found = [*_in_term(agreement, today), *_in_partners(agreement), *_in_rules(agreement)]
    if not errors_of(found):
        found += _in_fields(agreement)
    found += _beside(agreement, list(others))
    return tuple(sorted(found, key=lambda finding: finding.severity))


def errors_of(findings: Iterable[Finding]) -> list[Finding]:
    """Those that forbid to activate it."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def _error(where: str, what: str) -> Finding:
    return Finding(Severity.ERROR, where, what)


def _warning(where: str, what: str) -> Finding:
    return Finding(Severity.WARNING, where, what)


def _in_term(agreement: Agreement, today: date) -> Iterator[Finding]:
    try:
        date.fromisoformat(agreement.version)
    except ValueError:
        yield _error("version", f"there is no day {agreement.version}")
    if agreement.replaces == agreement.version:
        yield _error("replaces", "names this version itself")
    if agreement.valid_to < agreement.valid_from:
        yield _error("valid_to", "lies before valid_from")
    elif agreement.valid_to < today:
        yield _warning("valid_to", f"the term has ended on {agreement.valid_to}")


def _beside(agreement: Agreement, others: Sequence[Agreement]) -> Iterator[Finding]:
    by_version = {other.version: other for other in others}
    if agreement.version in by_version:
        yield _error("version", "another agreement has the same")
        return
    by_version[agreement.version] = agreement
    if agreement.replaces is not None and agreement.replaces not in by_version:
        yield _error("replaces", f"there is no version {agreement.replaces}")
    for other in others:
        if agreement.valid_to < other.valid_from or other.valid_to < agreement.valid_from:
            continue
        earlier, later = sorted((agreement, other), key=lambda term: term.valid_from)
        if later.valid_from == earlier.valid_from or earlier.version not in _replaced_by(later, by_version):
            yield _error(
                "valid_from", f"the term overlaps that of {other.version}, and the later one does not replace the other"
            )


def _replaced_by(term: Agreement, by_version: Mapping[str, Agreement]) -> set[str]:
    """The versions that it replaces, also by way of others."""
    replaced: set[str] = set()
    following: Agreement | None = term
    while following and following.replaces and following.replaces not in replaced:
        replaced.add(following.replaces)
        following = by_version.get(following.replaces)
    return replaced


def _in_partners(agreement: Agreement) -> Iterator[Finding]:
    ids = [partner.id for partner in agreement.partners]
    for id_ in _repeated(ids):
        yield _error(f"partners: {id_}", "the id is used twice")
    if BY_HAND in (rule.id for rule in agreement.rules):
        yield _error(f"rules: {BY_HAND}", "the id is that of offers without a rule")
    if OFFICE in ids:
        yield _error(f"partners: {OFFICE}", "the id is that of the front desk, which is no partner")
    for partner in agreement.partners:
        closures = sorted(partner.closed, key=lambda closure: closure.first)
        for one, other in pairwise(closures):
            if other.first <= one.last:
                yield _error(f"partners: {partner.id}: closed", f"{one} and {other} overlap")
        for closure in closures:
            yield from _long_waits(closure, partner, agreement)


def _long_waits(closure: Closure, partner: Partner, agreement: Agreement) -> Iterator[Finding]:
    """Terms of response that only the partner's closing days make long, offered on the day before they begin."""
    own = partner.response_days
    days = max((rule.response_days or own for rule in agreement.rules if partner.id in rule.takers), default=own)
    try:
        offered = closure.first - timedelta(days=1)
        open_, closed = (working_days_after(offered, days, on) for on in (frozenset(), partner.closed_on))
    except (ValueError, OverflowError) as error:
        yield _error(f"partners: {partner.id}: closed", str(error))
        return
    if open_ - offered <= _LONG < closed - offered:
        what = f"{closure}: an answer to an offer of {offered} may take until {closed}"
        yield _warning(f"partners: {partner.id}: closed", what)


def _in_rules(agreement: Agreement) -> Iterator[Finding]:
    for id_ in _repeated(rule.id for rule in agreement.rules):
        yield _error(f"rules: {id_}", "the id is used twice")
    for rule in agreement.rules:
        for key, what in _in_rule(rule, agreement):
            yield _error(f"rules: {rule.id}: {key}", what)


def _in_rule(rule: Rule, agreement: Agreement) -> Iterator[tuple[str, str]]:
    """The key and what is wrong there."""
    partners = agreement.partners_by_id.keys()
    if unknown := [taker for taker in rule.takers if taker not in {*partners, OFFICE}]:
        yield "takers", f"no partner of this agreement: {listed(unknown)}"
    if unknown := [taker for taker in rule.hand_on_to if taker not in partners]:
        yield "hand_on_to", f"no partner of this agreement: {listed(unknown)}"
    if bool(rule.takers) == (rule.sheet is not None):
        yield "takers", "either takers or a sheet answer; name one of both"
    for key in ("sub_topics", "towns", "target_groups", "languages"):
        if getattr(rule, key) == frozenset():
            yield key, "names none, so the rule fits nobody; leave it out where all are meant"
    if rule.valid_from and rule.valid_to and rule.valid_to < rule.valid_from:
        yield "valid_to", "lies before valid_from"
    for key in ("valid_from", "valid_to"):
        day = getattr(rule, key)
        if day and not agreement.valid_from <= day <= agreement.valid_to:
            yield key, f"lies outside the term, {agreement.valid_from} to {agreement.valid_to}"


def _repeated(ids: Iterable[str]) -> list[str]:
    return [id_ for id_, count in Counter(ids).items() if count > 1]


def _in_fields(agreement: Agreement) -> Iterator[Finding]:
    for code in Concern:
        rules = agreement.rules_by_field.get(code, ())
        needs = Needs(rules, (agreement.valid_from, agreement.valid_to))
        contradictions = list(_meetings(rules, needs))
        for one, other, where in contradictions:
            what = f"contradict each other: {code} is in both, for instance of {where}"
            yield _error(f"rules: {one.id}, {other.id}", what)
        if not contradictions:
            yield from _fit_by_two(code, rules, needs)
            yield from _idle(code, rules, needs)
        yield from _circles(code, rules, needs)
        yield from _gaps(code, rules, needs)


def _meetings(rules: Sequence[Rule], needs: Needs) -> Iterator[tuple[Rule, Rule, Box]]:
    """Each rule that decides where an equal one further down answers differently, with that one and where they meet."""
    for _, alike in groupby(needs.decided(rules), key=lambda decided: decided[0].rank):
        for (one, area), (other, _) in combinations(alike, 2):
            both = area & needs.area(other)
            if both and _answer(one) != _answer(other):
                yield one, other, needs.first(both)


def _fit_by_two(code: Concern, rules: Sequence[Rule], needs: Needs) -> Iterator[Finding]:
    """Rules that do not contradict each other, and yet both fit people of two languages or two target groups."""
    pairs = [
        (criterion, one, other)
        for criterion in Criterion
        for _, alike in groupby(needs.decided(rules), key=lambda decided: decided[0].rank)
        for (one, its), (other, others) in combinations(
            [(decided, needs.without(criterion, decided[1])) for decided in alike], 2
        )
        if its & others and _answer(one[0]) != _answer(other[0])
    ]
    for criterion, (one, area), (other, other_area) in pairs[:_TOLD]:
        who = needs.by_two(criterion, area, other_area)
        yield _warning(
            f"rules: {one.id}, {other.id}", f"{code}: whoever fits both ({who}) goes by {one.id}, the first in the file"
        )
    if len(pairs) > _TOLD:
        yield _warning(
            "rules", f"{code}: and {len(pairs) - _TOLD} more pairs fit people of two languages or target groups"
        )


def _idle(code: Concern, rules: Sequence[Rule], needs: Needs) -> Iterator[Finding]:
    for rule, area in needs.decided(rules):
        if not area:
            what = f"never counts for {code}: more special rules, or equal ones before it, decide all it fits"
            yield _warning(f"rules: {rule.id}", what)


def _answer(rule: Rule) -> tuple[object, ...]:
    return rule.takers, rule.turn, rule.sheet, rule.hand_on_to, rule.response_days


def _circles(code: Concern, rules: Sequence[Rule], needs: Needs) -> Iterator[Finding]:
    """Partners that could hand the same need on until it is back with the first (transitive closure, Warshall)."""
    reach: dict[PartnerId, dict[PartnerId, Area]] = defaultdict(lambda: defaultdict(int))
    for rule in rules:
        for taker in rule.takers if rule.hand_on_to else ():
            for to in rule.hand_on_to:
                reach[taker][to] |= needs.area(rule)
    for via in list(reach):
        for begin in list(reach):
            first_part = reach[begin][via]
            for end, second_part in list(reach[via].items()) if first_part else ():
                reach[begin][end] |= first_part & second_part
    if circle := [partner for partner, ends in reach.items() if ends[partner]]:
        yield _error("rules: hand_on_to", f"{code} can be handed on in a circle: {listed(circle)}")


def _gaps(code: Concern, rules: Sequence[Rule], needs: Needs) -> Iterator[Finding]:
    """What nobody covers: age, town, language and the rest."""
    open_ = needs.everything
    for rule in rules:
        open_ &= ~needs.area(rule)
    boxes = needs.boxes(open_)
    for box in boxes[:_TOLD]:
        yield _warning(f"gap: {code}", f"no rule covers {box}")
    if len(boxes) > _TOLD:
        yield _warning(f"gap: {code}", f"and {len(boxes) - _TOLD} more parts")
