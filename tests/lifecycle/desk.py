"""What lies on a clerk's desk: the referrals of one case, what partners reported, and who may have what by them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from lifecycle.table import NOT_KEPT, SETTLED
from lifecycle.terms import HAND_ON, OFFICE, PARTNERS, RESPONSE, SHEET, TAKERS, day_of, nth


@dataclass
class Card:
    """One referral on the clerk's desk. `term` is what runs, with its last day; `stopped` what stands still."""

    id: str
    partner: str | None
    state: str
    concerns: tuple[str, ...]
    unplaced: str | None = None
    term: tuple[str, date] | None = None
    back: str | None = None
    stopped: tuple[str, int] | None = None
    booking: str | None = None
    reopen_until: date | None = None
    questions: int = 0


@dataclass
class Report:
    """What a partner said it can take; `used` are the referrals that took a place of it."""

    status: str
    places: int | None
    weeks: int
    until: datetime
    used: set[str] = field(default_factory=set)


@dataclass
class Expected:
    """What a step should do: be refused for a reason, change nothing, or tell these events by (name, referral)."""

    refused: str | None = None
    effect: bool = True
    told: Counter[tuple[str, str]] = field(default_factory=Counter)


NOTHING: Final = Expected(effect=False)


class Desk:
    """One case, and what partners reported."""

    def __init__(self) -> None:
        self.facts: Any = None
        self.withdrawn = False
        self.cards: dict[str, Card] = {}
        self.reports: dict[tuple[str, str], Report] = {}

    @property
    def concerns(self) -> dict[str, Any]:
        return {concern.concern_id: concern for concern in self.facts.concerns}

    def last_of(self, concern: str) -> Card | None:
        return next((card for card in reversed(self.cards.values()) if concern in card.concerns), None)

    def is_settled(self, concern: str) -> bool:
        last = self.last_of(concern)
        return last is not None and last.state in SETTLED

    def waits_for(self, concern: str) -> set[str]:
        """Unsettled concerns that come before this one and do not in turn wait for it."""
        known = self.concerns
        return {
            before
            for before in known[concern].after
            if before in known and not self.is_settled(before) and concern not in self._ahead_of(before)
        }

    def _ahead_of(self, concern: str) -> set[str]:
        known, found, todo = self.concerns, set[str](), [concern]
        while todo:
            for before in known[todo.pop()].after:
                if before in known and before not in found:
                    found.add(before)
                    todo.append(before)
        return found

    def covered(self, partner: str, concern: str) -> bool:
        basis = self.facts.legal_basis
        return (
            basis.kind.value != "none"
            and (basis.partners is None or partner in basis.partners)
            and (basis.concerns is None or concern in basis.concerns)
            and (basis.valid_until is None or day_of(self.facts.received_at) <= basis.valid_until)
        )

    def had(self, concern: str) -> set[str | None]:
        return {card.partner for card in self.cards.values() if card.state in NOT_KEPT and concern in card.concerns}

    def report(self, partner: str, code: str, now: datetime) -> Report | None:
        report = self.reports.get((partner, code))
        return report if report and report.until > now else None

    def is_full(self, partner: str, code: str, now: datetime) -> bool:
        report = self.report(partner, code, now)
        if report is None:
            return PARTNERS[partner].reports
        return report.status == "none" or (report.places is not None and len(report.used) >= report.places)

    def allowed(self, concern: str, now: datetime) -> set[str]:
        """Whom a concern may go to: partners, the office by the agreement, the sheet, or why nobody."""
        code = self.concerns[concern].code.value
        if code == "self_help":
            return {SHEET}
        if code not in TAKERS:
            return {"no_rule"}
        had, weeks = self.had(concern), {}
        fresh = [taker for taker in TAKERS[code] if taker not in had]
        without_basis = {taker for taker in fresh if taker != OFFICE and not self.covered(taker, concern)}
        unwanted = {taker for taker in fresh if taker in self.facts.excluded_partners}
        full = {taker for taker in fresh if taker != OFFICE and self.is_full(taker, code, now)}
        left = [taker for taker in fresh if taker not in without_basis | unwanted | full]
        if not left and not fresh:
            return {"all_asked"}
        if not left:
            return {"no_legal_basis" if without_basis else "excluded_by_wish" if unwanted else "no_capacity"}
        left = [taker for taker in left if taker in self.facts.preferred_partners] or left
        for taker in left:
            report = self.report(taker, code, now)
            weeks[taker] = report.weeks if report else 0
        shortest = [taker for taker in left if weeks[taker] == min(weeks.values())]
        return {"office_task" if taker == OFFICE else taker for taker in shortest}

    def may_have(self, partner: str, concerns: Iterable[str]) -> bool:
        return partner not in self.facts.excluded_partners and all(
            concern in self.concerns and self.covered(partner, concern) for concern in concerns
        )

    def may_be_handed(self, card: Card, to: str, now: datetime) -> bool:
        if to == card.partner or to not in PARTNERS or not self.may_have(to, card.concerns):
            return False
        codes = {concern: self.concerns[concern].code.value for concern in card.concerns}
        return all(
            to in (*TAKERS.get(code, ()), *HAND_ON.get(code, ()))
            and to not in self.had(concern)
            and not self.is_full(to, code, now)
            for concern, code in codes.items()
        )

    def respond_by(self, card: Card, now: datetime) -> date:
        """The shortest time that a rule of these concerns names for this taker, or else the partner's own."""
        assert card.partner is not None
        codes = [self.concerns[concern].code.value for concern in card.concerns]
        fits = [code for code in codes if card.partner in (*TAKERS.get(code, ()), *HAND_ON.get(code, ()))]
        who = PARTNERS[card.partner]
        days = min((RESPONSE[code] for code in fits if code in RESPONSE), default=who.response)
        return nth(day_of(now), days, who.closed)

    def take(self, card: Card, now: datetime) -> None:
        assert card.partner is not None
        for concern in card.concerns:
            report = self.report(card.partner, self.concerns[concern].code.value, now)
            if report:
                report.used.add(card.id)
