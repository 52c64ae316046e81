"""What another agreement would have made of recorded cases: the same decisions, on the days the cases came in.

It works on stored documents as they are: nothing is validated again, so that a year is replayed in seconds.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from types import SimpleNamespace
from typing import Any, Final, TypeAlias, cast

from services.routing.domain.agreement import OFFICE, Agreement, Agreements, CapacityMode, Rule
from services.routing.domain.case import NOT_AGAIN
from services.routing.domain.placement import Destination, place
from services.routing.domain.situation import Situation
from shared.contracts.base import PartnerId, RuleId
from shared.contracts.codes import UnplacedReason
from shared.contracts.intake import CaseFacts, ConcernFacts
from shared.days import working_days_left

SHEET: Final = "(sheet)"
UNPLACED: Final = "(unplaced)"
HELD: Final = "(waits for another concern)"
"""What is in a partner's place; no partner can be called so."""

_WAITING: Final = Destination()
"""Where a concern is that waits for another one; under any agreement it would."""

REPLAYED: Final = (
    *("partner_id", "state", "concerns", "unplaced", "sheet"),
    *("offered_on", "answered_on", "appointment_on"),
)
"""What has to be known of a referral."""

_UNSAID: Final = {"excluded_partners": (), "preferred_partners": ()}
_UNSAID_OF_A_CONCERN: Final[dict[str, Any]] = {"sub_topic": None, "target_groups": ()}
"""What an older record may lack."""

Days: TypeAlias = Counter[int]
"""How often so many working days were waited."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stored case, received on that day."""

    day: date
    case: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Gap:
    """What nobody takes, and why; `language` is the first one the person speaks."""

    reason: str
    code: str
    town: str
    language: str


@dataclass(slots=True)
class Division:
    """Who has how many: concerns by holder and field, cases by holder, and the concerns nobody takes."""

    concerns: Counter[tuple[str, str]] = field(default_factory=Counter)
    cases: Counter[str] = field(default_factory=Counter)
    gaps: Counter[Gap] = field(default_factory=Counter)

    def note(self, facts: CaseFacts, destinations: Sequence[Destination]) -> None:
        """Count a case, given where its concerns go, in their order."""
        holders = [_holder(destination) for destination in destinations]
        for concern, holder, destination in zip(facts.concerns, holders, destinations, strict=True):
            self.concerns[holder, concern.code] += 1
            if holder == UNPLACED:
                language = next(iter(facts.languages), "-")
                self.gaps[Gap(str(destination), concern.code, facts.municipality, language)] += 1
        self.cases.update(set(holders))


@dataclass(slots=True)
class Outcome:
    """The division on record and the other one; by partner the recorded working days from the offer to the answer and
    to the first appointment."""

    now: Division = field(default_factory=Division)
    then: Division = field(default_factory=Division)
    until_answer: defaultdict[PartnerId, Days] = field(default_factory=lambda: defaultdict(Counter))
    until_appointment: defaultdict[PartnerId, Days] = field(default_factory=lambda: defaultdict(Counter))
    cases: int = 0


class Simulation:
    """Recorded cases, one after the other, under another agreement, as if it had been in force on their days.

    Nobody is full, for what partners reported then is not on record; `load` is what the replay has given so far. Who
    did not keep a concern does not keep it again.
    """

    def __init__(self, agreement: Agreement) -> None:
        partners = tuple(p.model_copy(update={"capacity": CapacityMode.OPEN}) for p in agreement.partners)
        self._agreement = _changed(agreement, partners=partners)
        self._by_day: dict[date, Agreement] = {}
        self._by_rules: dict[tuple[RuleId, ...], Agreement] = {}
        self._given: Counter[str] = Counter()
        self._situation = Situation(Agreements(), loads=self._given)
        self.outcome = Outcome()

    def replay(self, recorded: Recorded) -> None:
        """Place every concern of a case anew."""
        outcome, facts, referrals = self.outcome, _facts(recorded.case["facts"]), recorded.case["referrals"]
        outcome.cases += 1
        now = [_on_record(concern, referrals) for concern in facts.concerns]
        outcome.now.note(facts, now)
        agreement = self._as_of(recorded.day)
        then = [
            self._destination(concern, facts, referrals, agreement, recorded.day) if was != _WAITING else _WAITING
            for concern, was in zip(facts.concerns, now, strict=True)
        ]
        outcome.then.note(facts, then)
        self._given.update({_holder(destination) for destination in then})
        self._note_waits(referrals)

    def _destination(
        self,
        concern: ConcernFacts,
        facts: CaseFacts,
        referrals: Iterable[Mapping[str, Any]],
        agreement: Agreement,
        day: date,
    ) -> Destination:
        """Who keeps a concern in the end."""
        refused = {
            r["partner_id"] for r in referrals if r["state"] in NOT_AGAIN and concern.concern_id in r["concerns"]
        }
        asked: frozenset[PartnerId | None] = frozenset()
        while True:
            destination = place(concern, facts, asked, agreement, day, self._situation).destination
            if destination.partner_id is None or destination.partner_id not in refused:
                return destination
            asked |= {destination.partner_id}

    def _as_of(self, day: date) -> Agreement:
        """The agreement with the rules that count on that day, or on the nearest one of its term."""
        found = self._by_day.get(day)
        if found is None:
            within = min(max(day, self._agreement.valid_from), self._agreement.valid_to)
            rules = [rule for rule in self._agreement.rules if rule.is_valid(within)]
            ids = tuple(rule.id for rule in rules)
            if ids not in self._by_rules:
                self._by_rules[ids] = _changed(self._agreement, rules=tuple(map(_always, rules)))
            found = self._by_day[day] = self._by_rules[ids]
        return found

    def _note_waits(self, referrals: Iterable[Mapping[str, Any]]) -> None:
        for referral in referrals:
            if offered := referral.get("offered_on"):
                partner_id = referral["partner_id"]
                if answered := referral["answered_on"]:
                    self.outcome.until_answer[partner_id][_working_days(offered, answered)] += 1
                if seen := referral["appointment_on"]:
                    self.outcome.until_appointment[partner_id][_working_days(offered, seen)] += 1


def days_within(part: Fraction, waits: Iterable[tuple[int, Days]]) -> int | None:
    """The working days after which this part of all cases is through, where so many cases each wait as these days were
    waited; None where there are none."""
    shares: defaultdict[int, Fraction] = defaultdict(Fraction)
    for cases, days in waits:
        for number, times in days.items():
            shares[number] += Fraction(cases * times, days.total())
    wanted = part * sum(shares.values())
    for number in sorted(filter(shares.__getitem__, shares)):
        wanted -= shares[number]
        if wanted <= 0:
            return number
    return None


def _facts(document: Mapping[str, Any]) -> CaseFacts:
    """What the decisions read of a case. A model takes ten times as long, also where nothing is validated."""
    basis = document["legal_basis"]
    if last := basis["valid_until"]:
        basis = {**basis, "valid_until": date.fromisoformat(last)}
    parts = {
        "legal_basis": SimpleNamespace(**basis),
        "concerns": [SimpleNamespace(**_UNSAID_OF_A_CONCERN | concern) for concern in document["concerns"]],
    }
    return cast(CaseFacts, SimpleNamespace(**{**_UNSAID, **document, **parts}))


def _on_record(concern: ConcernFacts, referrals: Sequence[Mapping[str, Any]]) -> Destination:
    """Where a concern is, or was last."""
    for referral in reversed(referrals):
        if concern.concern_id in referral["concerns"]:
            return Destination(referral["partner_id"], referral.get("unplaced"), referral.get("sheet"))
    return _WAITING


def _holder(destination: Destination) -> str:
    if destination.partner_id:
        return destination.partner_id
    if destination.unplaced:
        return OFFICE if destination.unplaced == UnplacedReason.OFFICE_TASK else UNPLACED
    return SHEET if destination.sheet else HELD


def _changed(agreement: Agreement, **fields: Any) -> Agreement:
    """A copy with other fields; unlike `model_copy` it has none of the things the other one worked out from its own."""
    return Agreement.model_construct(**{name: getattr(agreement, name) for name in Agreement.model_fields} | fields)


def _always(rule: Rule) -> Rule:
    return rule.model_copy(update={"valid_from": None, "valid_to": None})


@cache
def _working_days(first: str, last: str) -> int:
    """From one day to the other; 0 on the same."""
    return working_days_left(date.fromisoformat(first) + timedelta(days=1), date.fromisoformat(last))
