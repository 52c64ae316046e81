"""What an attentive clerk would expect of a case, from DESIGN section 6 alone: states, guards, owners and terms."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from lifecycle.table import EVENT_OF, NOT_KEPT, OPEN, SETTLED, STAYS, TABLE, WITH_PARTNER

BERLIN: Final = ZoneInfo("Europe/Berlin")
EASTER: Final = {2026: (4, 5), 2027: (3, 28), 2028: (4, 16), 2029: (4, 1), 2030: (4, 21), 2031: (4, 13)}
"""By the calendar on the wall."""

SHEET: Final = "sheet-help"
OFFICE: Final = "office"


@dataclass(frozen=True)
class Who:
    """A partner as the test agreement has it."""

    response: int
    grace: int = 2
    closed: frozenset[date] = frozenset()
    reports: bool = False


PARTNERS: Final = {
    "caritas": Who(3),
    "diakonie": Who(2, 0, frozenset(date(2026, 12, day) for day in (1, 2, 3, 4))),
    "awo": Who(5, 3),
    "vhs": Who(1, reports=True),
    "schuldnerberatung": Who(4),
}
TAKERS: Final = {
    "general": (OFFICE, "caritas", "diakonie"),
    "job_search": ("awo", "caritas", "diakonie"),
    "housing_search": ("awo",),
    "childcare": ("awo", "diakonie"),
    "german_course": ("vhs",),
    "integration_course": ("vhs",),
    "debt": ("schuldnerberatung",),
}
HAND_ON: Final = {"housing_search": ("caritas", "vhs"), "debt": ("awo",)}
RESPONSE: Final = {"housing_search": 1}
CLARIFICATION, REVIEW, REOPENING, CAPACITY, QUESTIONS = 5, 20, 90, 14, 3


def day_of(moment: datetime) -> date:
    return moment.astimezone(BERLIN).date()


def midnight_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), BERLIN).astimezone(UTC)


def works(day: date, closed: frozenset[date] = frozenset()) -> bool:
    easter = date(day.year, *EASTER[day.year])
    holidays = {easter + timedelta(days=days) for days in (-2, 1, 39, 50, 60)}
    fixed = {(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)}
    return day.weekday() < 5 and day not in closed and day not in holidays and (day.month, day.day) not in fixed


def nth(day: date, count: int, closed: frozenset[date] = frozenset()) -> date:
    """The `count`-th working day after `day`."""
    while count:
        day += timedelta(days=1)
        count -= works(day, closed)
    return day


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
    by_hand: bool = False
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


class Model:
    """One case, and what partners reported."""

    def __init__(self) -> None:
        self.facts: Any = None
        self.withdrawn = False
        self.cards: dict[str, Card] = {}
        self.reports: dict[tuple[str, str], Report] = {}

    # --- what is known of concerns -----------------------------------------------------------------------------------

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

    # --- steps -------------------------------------------------------------------------------------------------------

    def reply(
        self, event: str, by: str, to: str, now: datetime, claimed: datetime | None, said: dict[str, Any]
    ) -> Expected:
        """A partner replies; `to` is the referral's id."""
        card, today = self.cards.get(to), day_of(now)
        if card is None or card.partner != by:
            return Expected("unknown_referral")
        if claimed and claimed > now + timedelta(days=1):
            return Expected("from_the_future")
        states, then = TABLE[event]
        if card.state not in states:
            return Expected("wrong_state")
        if reason := self._stands_against(event, card, today, now, said):
            return Expected(reason)
        closed = PARTNERS[by].closed
        if event == "clarification.requested":
            card.questions += 1
            if card.term:
                kind, last = card.term
                days = (last - today).days + 1
                card.stopped = kind, sum(works(today + timedelta(days=n), closed) for n in range(days))
            card.back, card.term = card.state, ("clarification", nth(today, CLARIFICATION))
        elif event == "clarification.answered":
            self._go_on(card, today)
        else:
            card.term = ("review", said["review_on"]) if event == "service.paused" else None
        if event in ("referral.completed", "referral.failed"):
            card.reopen_until = today + timedelta(days=REOPENING)
        if event == "referral.reopened":
            self._take(card, now)
        card.state = then or card.state
        return Expected(told=Counter({(EVENT_OF[event], card.id): 1}))

    def _stands_against(self, event: str, card: Card, today: date, now: datetime, said: dict[str, Any]) -> str | None:
        if event == "clarification.requested" and card.questions >= QUESTIONS:
            return "too_often"
        if event == "service.paused" and said["review_on"] < today:
            return "in_the_past"
        if event == "service.paused" and said["review_on"] > today + timedelta(days=366):
            return "from_the_future"
        if event == "referral.reopened":
            assert card.partner is not None
            in_time = card.reopen_until is not None and card.reopen_until >= today
            if self.withdrawn or not in_time or not self._may_have(card.partner, card.concerns):
                return "too_late"
        if event == "referral.handed_on" and (to := said["to"]) and not self._may_be_handed(card, to, now):
            return "target_not_possible"
        return None

    def _may_have(self, partner: str, concerns: Iterable[str]) -> bool:
        return partner not in self.facts.excluded_partners and all(
            concern in self.concerns and self.covered(partner, concern) for concern in concerns
        )

    def _may_be_handed(self, card: Card, to: str, now: datetime) -> bool:
        if to == card.partner or to not in PARTNERS or not self._may_have(to, card.concerns):
            return False
        codes = {concern: self.concerns[concern].code.value for concern in card.concerns}
        return all(
            to in (*TAKERS.get(code, ()), *HAND_ON.get(code, ()))
            and to not in self.had(concern)
            and not self.is_full(to, code, now)
            for concern, code in codes.items()
        )

    def _go_on(self, card: Card, today: date) -> None:
        assert card.back is not None
        assert card.partner is not None
        card.state, card.back, card.term = card.back, None, None
        if card.stopped:
            kind, days = card.stopped
            card.term = kind, nth(today - timedelta(days=1), max(days, 1), PARTNERS[card.partner].closed)
        card.stopped = None

    def tick(self, now: datetime) -> Expected:
        """Every term that is over has its consequence."""
        due = [card for card in self.cards.values() if card.term and midnight_after(card.term[1]) <= now]
        if not due:
            return NOTHING
        today, told = day_of(now), Counter[tuple[str, str]]()
        for card in due:
            assert card.term is not None
            assert card.partner is not None
            who = PARTNERS[card.partner]
            if card.term[0] == "response":
                event = "referral.overdue"
                card.term = "grace", nth(today - timedelta(days=1), who.grace, who.closed)
            elif card.term[0] == "grace":
                event, card.state, card.term = "referral.expired", "expired", None
            elif card.term[0] == "clarification":
                event = "clarification.expired"
                self._go_on(card, today)
            else:
                event, card.term = "service.review_due", ("review", nth(today, REVIEW))
            told[EVENT_OF[event], card.id] += 1
        return Expected(told=told)

    def withdraw(self, event: str) -> Expected:
        """By the person or by the sender."""
        if self.withdrawn:
            return NOTHING
        told = Counter[tuple[str, str]]()
        for card in self.cards.values():
            if card.state in OPEN:
                told.update(self._end(card, event))
        self.withdrawn = True
        return Expected(told=told)

    def amend(self, facts: Any, now: datetime) -> Expected:
        """The sender says anew what the case is."""
        if self.withdrawn:
            return NOTHING
        self.facts = facts
        told = Counter[tuple[str, str]]()
        for card in [card for card in self.cards.values() if card.state in OPEN]:
            left = [concern for concern in self.concerns if concern in card.concerns]
            left = [concern for concern in left if self._stays(card, concern, left[0], now)]
            if left:
                if card.partner and card.concerns != tuple(left):
                    told["ReferralAmended", card.id] += 1
                card.concerns = tuple(left)
            else:
                told.update(self._end(card, "referral.cancelled"))
        return Expected(told=told)

    def _stays(self, card: Card, concern: str, first: str, now: datetime) -> bool:
        if card.partner:
            return self._may_have(card.partner, [concern])
        if card.state == "held":
            return self.waits_for(concern) == self.waits_for(first)
        return card.unplaced == "office_task" or self.allowed(concern, now) == {card.unplaced}

    def _end(self, card: Card, event: str) -> Counter[tuple[str, str]]:
        card.state = TABLE[event][1]
        card.term = card.back = card.stopped = None
        return Counter({(EVENT_OF[event], card.id): 1}) if card.partner else Counter()

    def appointment(self, event: str, to: str, appointment: str, replaces: str) -> Expected:
        """Scheduling books, moves or loses an appointment; what no longer fits changes nothing."""
        card = self.cards.get(to)
        if card is None:
            return NOTHING
        lasting = card.back or card.state
        if event == "referral.scheduled":
            if card.booking or lasting not in WITH_PARTNER or lasting == "offered":
                return NOTHING
        elif card.booking != replaces:
            return NOTHING
        states, then = TABLE[event]
        if lasting in states and then != STAYS:
            if card.back:
                card.back = then
            else:
                card.state = then
        card.booking = None if event == "referral.unscheduled" else appointment
        return Expected(told=Counter({(EVENT_OF[event], card.id): 1}))

    def assign(self, to: str, partner: str, now: datetime) -> Expected:
        """The office names a partner for what it has; it may ask again who refused before."""
        card = self.cards.get(to)
        if card is None or card.state != "clearing" or not self._may_have(partner, card.concerns):
            return NOTHING
        card.state, card.partner, card.unplaced, card.by_hand = "offered", partner, None, True
        card.term = "response", self.respond_by(card, now)
        self._take(card, now)
        return Expected(told=Counter({("ReferralOffered", card.id): 1}))

    def close(self, to: str) -> Expected:
        """The office ends a task without a partner."""
        card = self.cards.get(to)
        if card is None or card.state != "clearing":
            return NOTHING
        card.state = "closed"
        return Expected()

    def capacity(self, partner: str, said: Any, now: datetime) -> Expected:
        """A partner reports how much of a field it can take."""
        today = day_of(now)
        if said.partner_id != partner:
            return Expected("invalid")
        if partner not in (*TAKERS.get(said.code.value, ()), *HAND_ON.get(said.code.value, ())):
            return Expected("not_in_agreement")
        last = said.valid_until or today + timedelta(days=CAPACITY)
        if last < today:
            return Expected("in_the_past")
        if last > today + timedelta(days=366):
            return Expected("from_the_future")
        self.reports[partner, said.code.value] = Report(
            said.status.value, said.places, said.weeks or 0, midnight_after(last)
        )
        return Expected()

    # --- what the step left over -------------------------------------------------------------------------------------

    def respond_by(self, card: Card, now: datetime) -> date:
        """The shortest time that a rule of these concerns names for this taker, or else the partner's own."""
        assert card.partner is not None
        codes = [self.concerns[concern].code.value for concern in card.concerns]
        fits = [code for code in codes if card.partner in (*TAKERS.get(code, ()), *HAND_ON.get(code, ()))]
        who = PARTNERS[card.partner]
        days = min((RESPONSE[code] for code in fits if code in RESPONSE), default=who.response)
        return nth(day_of(now), days, who.closed)

    def _take(self, card: Card, now: datetime) -> None:
        assert card.partner is not None
        for concern in card.concerns:
            report = self.report(card.partner, self.concerns[concern].code.value, now)
            if report:
                report.used.add(card.id)

    def follow(self, new: Sequence[Card], now: datetime, expected: Expected, handed_to: str | None) -> None:
        """Take over the referrals that came of a step, each of which has to be one the clerk would have made.

        Raises `AssertionError` where one is not, or where something that nobody has was left lying.
        """
        for card in self.cards.values():
            if card.state not in WITH_PARTNER:
                card.booking = None
        asked = {card.id: {concern: self.had(concern) for concern in card.concerns} for card in new}
        could = {
            card.id: {concern: self.allowed(concern, now) for concern in card.concerns if concern in self.concerns}
            for card in new
        }
        made = [replace(card, state="held" if card.state == "released" else card.state) for card in new]
        for card in made:
            self.cards[card.id] = card
            if card.partner:
                card.term = "response", self.respond_by(card, now)
                expected.told["ReferralOffered", card.id] += 1
                self._take(card, now)
        for card in made:
            self._is_well_placed(card, could[card.id], asked[card.id], now, handed_to)
        for card in self.cards.values():
            if card.state == "held" and not any(map(self.waits_for, card.concerns)):
                card.state = "released"
        for report in self.reports.values():
            report.used &= {card.id for card in self.cards.values() if card.state in OPEN}

    def _is_well_placed(
        self,
        card: Card,
        could: dict[str, set[str]],
        asked: dict[str, set[str | None]],
        now: datetime,
        handed_to: str | None,
    ) -> None:
        assert set(card.concerns) <= set(self.concerns), "nobody is asked for what the case does not have"
        for concern in card.concerns:
            if card.state == "held":
                assert self.concerns[concern].after, "only what has something before it is held"
                continue
            assert card.partner not in asked[concern] or card.partner is None, "asked twice"
            if card.partner and card.partner == handed_to:
                continue
            assert not self.waits_for(concern), "placed before its time"
            where = card.partner or card.unplaced or SHEET
            later = (
                self.allowed(concern, now) if where == "no_capacity" else set()
            )  # the step itself took the last place
            assert where in could[concern] | later, f"{concern} went to {where}, not {could[concern]}"
