"""What an attentive clerk would expect of a case, from DESIGN section 6 alone: states, guards, owners and terms."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from lifecycle.desk import NOTHING, Card, Desk, Expected, Report
from lifecycle.table import EVENT_OF, OPEN, STAYS, TABLE, WITH_PARTNER
from lifecycle.terms import (
    CAPACITY,
    CLARIFICATION,
    HAND_ON,
    PARTNERS,
    QUESTIONS,
    REOPENING,
    REVIEW,
    SHEET,
    TAKERS,
    day_of,
    midnight_after,
    nth,
    works,
)


class Model(Desk):
    """Lets the same happen on the desk as in the service, and says what should come of it."""

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
            self.take(card, now)
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
            if self.withdrawn or not in_time or not self.may_have(card.partner, card.concerns):
                return "too_late"
        if event == "referral.handed_on" and (to := said["to"]) and not self.may_be_handed(card, to, now):
            return "target_not_possible"
        return None

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
            return self.may_have(card.partner, [concern])
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
        if card is None or card.state != "clearing" or not self.may_have(partner, card.concerns):
            return NOTHING
        card.state, card.partner, card.unplaced = "offered", partner, None
        card.term = "response", self.respond_by(card, now)
        self.take(card, now)
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
                self.take(card, now)
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
