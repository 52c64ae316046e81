"""Who is asked to take a concern: the agreement's takers, less those that would not, may not, shall not or cannot.

Every step notes whom it left out and why; that note is the explanation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from services.routing.domain.agreement import OFFICE, Agreement, Rule, RuleSeen, RuleVerdict, Turn
from services.routing.domain.explanation import ConcernSeen, TakerSeen, TakerVerdict
from services.routing.domain.situation import Room, Situation
from shared.contracts.base import ConcernId, PartnerId, RuleId, SheetId
from shared.contracts.codes import LegalBasisKind, UnplacedReason
from shared.contracts.intake import CaseFacts, ConcernFacts, LegalBasis


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a concern goes: to a partner, to a sheet, or for a reason to the office."""

    partner_id: PartnerId | None = None
    unplaced: UnplacedReason | None = None
    sheet: SheetId | None = None

    def __str__(self) -> str:
        return self.partner_id or self.unplaced or self.sheet or ""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where one concern goes, by which rule, and what was looked at."""

    destination: Destination
    rule: RuleId | None
    seen: ConcernSeen


_LEFT_OVER: Final = {
    TakerVerdict.NO_LEGAL_BASIS: UnplacedReason.NO_LEGAL_BASIS,
    TakerVerdict.EXCLUDED_BY_WISH: UnplacedReason.EXCLUDED_BY_WISH,
    TakerVerdict.NO_CAPACITY: UnplacedReason.NO_CAPACITY,
    TakerVerdict.ALREADY_ASKED: UnplacedReason.ALL_ASKED,
}
"""Why nobody is asked: of all that stands against the takers the first counts, for the office can do most about it."""


def place(
    concern: ConcernFacts,
    facts: CaseFacts,
    asked: frozenset[PartnerId | None],
    agreement: Agreement | None,
    on: date,
    situation: Situation,
) -> Placed:
    """Find the taker of a concern under the agreement that was in force `on` that day.

    `asked` are the partners that had it and did not keep it.
    """
    if agreement is None:
        return _placed(concern, Destination(unplaced=UnplacedReason.NO_AGREEMENT), None, ())
    rule, rules = match(concern, facts, agreement, on)
    if rule is None:
        return _placed(concern, Destination(unplaced=UnplacedReason.NO_RULE), None, rules)
    if rule.sheet is not None:
        return _placed(concern, Destination(sheet=rule.sheet), rule, rules)
    choice = _Choice(concern, facts, agreement, rule, situation)
    destination = choice.destination(asked, on)
    return _placed(concern, destination, rule, rules, choice.seen())


def match(
    concern: ConcernFacts, facts: CaseFacts, agreement: Agreement, on: date
) -> tuple[Rule | None, tuple[RuleSeen, ...]]:
    """The rule that counts for a concern, and every rule of its field with the reason why it does or does not.

    Of several that fit the most special counts; among equals the one that comes first.
    """
    candidates = agreement.candidates(concern.code, concern.age_band, facts.municipality)
    matched: Rule | None = None
    seen: list[RuleSeen] = []
    for rule in candidates.fitting:
        verdict = RuleVerdict.LESS_SPECIAL if matched else _verdict(rule, concern, facts, on)
        if verdict is RuleVerdict.MATCHED:
            matched = rule
        seen.append(RuleSeen(rule.id, verdict))
    return matched, (*seen, *candidates.others)


def covers(basis: LegalBasis, concern: ConcernId, partner: PartnerId, on: date) -> bool:
    """Whether this legal basis lets the concern be passed on to the partner; `valid_until` is its last day."""
    return (
        basis.kind != LegalBasisKind.NONE
        and (basis.valid_until is None or on <= basis.valid_until)
        and (basis.partners is None or partner in basis.partners)
        and (basis.concerns is None or concern in basis.concerns)
    )


def in_turn(case_id: str, takers: list[PartnerId]) -> PartnerId:
    """One of the takers: by the case's random number each gets an equal share, and a repetition asks the same one."""
    return takers[int(case_id.replace("-", ""), 16) % len(takers)]


def _verdict(rule: Rule, concern: ConcernFacts, facts: CaseFacts, on: date) -> RuleVerdict:
    if not rule.is_valid(on):
        return RuleVerdict.NOT_VALID
    if rule.sub_topics is not None and concern.sub_topic not in rule.sub_topics:
        return RuleVerdict.SUB_TOPIC
    if rule.target_groups is not None and rule.target_groups.isdisjoint(concern.target_groups):
        return RuleVerdict.TARGET_GROUP
    if rule.languages is not None and rule.languages.isdisjoint(facts.languages):
        return RuleVerdict.LANGUAGE
    return RuleVerdict.MATCHED


def _placed(
    concern: ConcernFacts,
    destination: Destination,
    rule: Rule | None,
    rules: tuple[RuleSeen, ...],
    takers: tuple[TakerSeen, ...] = (),
) -> Placed:
    seen = ConcernSeen(concern.concern_id, concern.code, concern.sub_topic, concern.age_band, rules, takers)
    return Placed(destination, rule.id if rule else None, seen)


class _Choice:
    """One taker of a rule's, found by leaving out the others step by step."""

    def __init__(
        self, concern: ConcernFacts, facts: CaseFacts, agreement: Agreement, rule: Rule, situation: Situation
    ) -> None:
        self._concern = concern
        self._facts = facts
        self._agreement = agreement
        self._rule = rule
        self._situation = situation
        self._left = list(rule.takers)
        self._verdicts: dict[PartnerId, TakerVerdict] = {}
        self._rooms: dict[PartnerId, Room] = {}

    def destination(self, asked: frozenset[PartnerId | None], on: date) -> Destination:
        """Whose turn it is. The office needs no legal basis and has no limit: with it nothing is passed on."""
        facts, basis, concern_id = self._facts, self._facts.legal_basis, self._concern.concern_id
        required: tuple[tuple[TakerVerdict, Callable[[PartnerId], bool]], ...] = (
            (TakerVerdict.ALREADY_ASKED, lambda taker: taker not in asked),
            (TakerVerdict.NO_LEGAL_BASIS, lambda taker: taker == OFFICE or covers(basis, concern_id, taker, on)),
            (TakerVerdict.EXCLUDED_BY_WISH, lambda taker: taker not in facts.excluded_partners),
            (TakerVerdict.NO_CAPACITY, self._has_room),
        )
        for verdict, holds in required:
            self._keep([taker for taker in self._left if holds(taker)], verdict)
            if not self._left:
                against = self._verdicts.values()
                return Destination(unplaced=next(_LEFT_OVER[verdict] for verdict in _LEFT_OVER if verdict in against))
        if len(self._left) > 1:
            self._prefer()
        taker = in_turn(facts.case_id, self._left)
        self._keep([taker], TakerVerdict.NOT_ITS_TURN)
        if taker == OFFICE:
            return Destination(unplaced=UnplacedReason.OFFICE_TASK)
        return Destination(partner_id=taker)

    def seen(self) -> tuple[TakerSeen, ...]:
        """Every taker of the rule, with what was known of it."""
        return tuple(map(self._seen, self._rule.takers))

    def _prefer(self) -> None:
        self._keep_if_any(lambda taker: taker in self._facts.preferred_partners, TakerVerdict.NOT_PREFERRED)
        self._keep_least(self._weeks, TakerVerdict.LONGER_WAIT)
        for turn in self._rule.turn:
            if turn is Turn.LANGUAGE:
                self._keep_if_any(self._speaks, TakerVerdict.OTHER_LANGUAGE)
            else:
                self._keep_least(self._situation.load, TakerVerdict.MORE_LOAD)

    def _has_room(self, taker: PartnerId) -> bool:
        if taker == OFFICE:
            return True
        room = self._rooms[taker] = self._situation.room(self._agreement.partner(taker), self._concern.code)
        return not room.is_full

    def _weeks(self, taker: PartnerId) -> int:
        room = self._rooms.get(taker)
        return room.weeks or 0 if room else 0

    def _speaks(self, taker: PartnerId) -> bool:
        if taker == OFFICE:
            return False
        return not set(self._facts.languages).isdisjoint(self._agreement.partner(taker).languages)

    def _keep_if_any(self, wanted: Callable[[PartnerId], bool], verdict: TakerVerdict) -> None:
        if kept := [taker for taker in self._left if wanted(taker)]:
            self._keep(kept, verdict)

    def _keep_least(self, figure: Callable[[PartnerId], int], verdict: TakerVerdict) -> None:
        figures = [figure(taker) for taker in self._left]
        least = min(figures)
        self._keep([taker for taker, its in zip(self._left, figures, strict=True) if its == least], verdict)

    def _keep(self, kept: list[PartnerId], verdict: TakerVerdict) -> None:
        if len(kept) != len(self._left):
            self._verdicts.update({taker: verdict for taker in self._left if taker not in kept})
            self._left = kept

    def _seen(self, taker: PartnerId) -> TakerSeen:
        verdict = self._verdicts.get(taker, TakerVerdict.ASKED)
        load = self._situation.load(taker) if Turn.LOAD in self._rule.turn else None
        room = self._rooms.get(taker)
        if room is None:
            return TakerSeen(taker, verdict, load=load)
        return TakerSeen(taker, verdict, room.status, room.places, room.weeks, load)
