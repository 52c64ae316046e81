"""One case and everything that may reach it, in any order, held step by step against the clerk's model."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lifecycle.agreements import NOW
from lifecycle.arrivals import PERSON, REPLIES, a_reply, an_appointment, decided, received
from lifecycle.chances import FITTING, befores, days_ahead, facts, legal_bases, partners, reports_of, sayings
from lifecycle.desk import Card, Expected
from lifecycle.model import Model
from lifecycle.table import OPEN, SETTLED
from lifecycle.terms import PARTNERS, midnight_after
from lifecycle.worlds import A_MOMENT, Step, World, changes
from services.gateway.domain.events import QueueEvent
from services.gateway.domain.referrals import KnownReferral, after
from services.routing.clockwork import ticking
from services.routing.domain.assigning import assigned, stands_against
from services.routing.domain.case import RoutedCase
from services.routing.domain.lifecycle import Transition
from services.routing.domain.placing import conclude
from services.routing.handlers import reactions
from services.routing.repository import Due
from shared.contracts import BY_EVENT, Event
from shared.contracts.base import derived_id
from shared.contracts.codes import (
    Actor,
    AssignmentReason,
    CapacityStatus,
    ClosingReason,
    Concern,
    LegalBasisKind,
    Municipality,
    ReferralState,
    Urgency,
    WithdrawalReason,
)
from shared.contracts.intake import CaseAmended, CaseOpened, CaseWithdrawn, LegalBasis
from shared.contracts.partners import CapacityReported
from shared.contracts.routing import CaseProgressed, PartnerEvent, ReferralOffered, ReplyRejected
from shared.envelope import Cause
from shared.pipeline.decisions import Command, Decision, Mark
from shared.pipeline.engine import INBOX


class Life(RuleBasedStateMachine):
    """One case. What `world` it lives in is for the subclass to say."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world = self.a_world()
        self.model = Model()
        self.steps = 0
        self.last: Step | None = None
        self.case_id = ""
        self.told = 0
        self.read: dict[str, KnownReferral] = {}

    def a_world(self) -> World:
        raise NotImplementedError

    @initialize(facts=facts, number=st.integers(0, 5))
    def open(self, facts: dict[str, Any], number: int) -> None:
        self.case_id = str(UUID(int=number))
        event = self.a_case(CaseOpened, facts)
        self.model.facts = event
        self.happens(self.arrives(event), lambda: Expected())

    # --- what may happen ---------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def partners_reply_about_their_own(self, data: st.DataObject) -> None:
        for _ in range(data.draw(st.integers(1, 4))):
            cards = [card for card in self.model.cards.values() if card.partner and card.state in FITTING]
            if cards:
                card = data.draw(st.sampled_from(cards))
                assert card.partner is not None
                events = FITTING[card.state] if data.draw(st.integers(0, 3)) else sorted(REPLIES)
                self.reply(data, data.draw(st.sampled_from(events)), card.partner, card.id)

    @rule(data=st.data(), event=st.sampled_from(sorted(REPLIES)), partner=partners)
    def somebody_replies(self, data: st.DataObject, event: str, partner: str) -> None:
        self.reply(data, event, partner, data.draw(st.sampled_from([*self.model.cards, derived_id("unknown")])))

    @rule(data=st.data(), end=st.sampled_from(["referral.completed", "referral.failed"]), basis=legal_bases)
    def a_partner_serves_and_takes_it_up_again(self, data: st.DataObject, end: str, basis: LegalBasis) -> None:
        """Perhaps after the sender said anew what the partner may have."""
        cards = [card for card in self.model.cards.values() if card.state in ("offered", "completed", "failed")]
        if not cards:
            return
        card = data.draw(st.sampled_from(cards))
        assert card.partner is not None
        if card.state == "offered":
            for event in ("referral.accepted", "service.started", end):
                self.reply(data, event, card.partner, card.id)
        nothing, wish = LegalBasis(kind=LegalBasisKind.NONE), {"excluded_partners": (card.partner,)}
        changed = data.draw(st.sampled_from([{}, {"legal_basis": nothing}, {"legal_basis": basis}, wish]))
        if changed:
            self.amend(changed)
        self.reply(data, "referral.reopened", card.partner, card.id)

    @rule(data=st.data(), event=st.sampled_from(sorted(REPLIES)))
    def a_partner_asks_back_and_forgets_it(self, data: st.DataObject, event: str) -> None:
        if cards := [c for c in self.model.cards.values() if c.state in ("offered", "accepted", "in_service")]:
            card = data.draw(st.sampled_from(cards))
            for said in ("clarification.requested", event):
                self.reply(data, said, card.partner or "", card.id)

    def reply(self, data: st.DataObject, event: str, by: str, to: str) -> None:
        said = data.draw(sayings(event, self.world.now.date()))
        claimed = self.world.now + timedelta(hours=25) if data.draw(st.integers(0, 19)) == 0 else None
        self.happens(
            self.arrives(a_reply(event, to, **said), by=by, time=claimed),
            lambda: self.model.reply(event, by, to, self.world.now, claimed, said),
            handed_to=said.get("to"),
            twice=data.draw(st.integers(0, 3)) == 0,
        )

    @rule(hours=st.integers(1, 30), days=st.sampled_from([0, 0, 1, 3, 40]))
    def time_passes(self, hours: int, days: int) -> None:
        self.world.now += timedelta(hours=hours, days=days)

    @rule()
    def the_clock_steps_back(self) -> None:
        self.world.now -= timedelta(hours=1)

    @rule(twice=st.booleans(), late=st.sampled_from([0, 0, 60, 7 * 86_400]))
    def the_next_term_ends(self, twice: bool, late: int) -> None:
        terms = [midnight_after(card.term[1]) for card in self.model.cards.values() if card.term]
        if terms:
            self.world.now = max(self.world.now, min(terms) + timedelta(seconds=late))
        self.clocks_are_looked_at(twice)

    @rule(twice=st.booleans())
    def clocks_are_looked_at(self, twice: bool) -> None:
        case, now = self.world.case(self.case_id), self.world.now
        step: Step = lambda looking: ticking(looking, Due(case.id, case.sequence, "", ""))  # type: ignore[arg-type]  # noqa: E731
        due = [
            card for card in self.model.cards.values() if card.term and midnight_after(card.term[1]) <= now + A_MOMENT
        ]
        without_grace = any(card.partner and not PARTNERS[card.partner].grace for card in due)
        self.happens(step, lambda: self.model.tick(self.world.now), twice=twice and not without_grace)
        self.last = None

    @rule(
        data=st.data(),
        event=st.sampled_from(
            ["referral.scheduled", "referral.scheduled", "referral.rescheduled", "referral.unscheduled"]
        ),
        missed=st.booleans(),
    )
    def scheduling_tells(self, data: st.DataObject, event: str, missed: bool) -> None:
        card = data.draw(st.sampled_from([*self.model.cards.values()]))
        appointment = derived_id("appointment", self.next_step())
        replaces = data.draw(st.sampled_from([card.booking or derived_id("none"), derived_id("another")]))
        word = {"referral.scheduled": "booked", "referral.rescheduled": "rescheduled"}.get(event)
        told = an_appointment(
            word or ("missed" if missed else "cancelled"),
            case_id=self.case_id,
            referral_id=card.id,
            partner_id=card.partner or "nobody",
            appointment_id=appointment if word else replaces,
            replaces=replaces,
        )
        self.happens(
            self.arrives(told), lambda: self.model.appointment(event, card.id, appointment, replaces), twice=missed
        )

    @rule(facts=facts, kept=st.sets(st.sampled_from(["concerns", "legal_basis", "excluded_partners"])))
    def the_sender_amends(self, facts: dict[str, Any], kept: set[str]) -> None:
        self.amend({name: value for name, value in facts.items() if name not in kept})

    @rule(data=st.data(), after=befores)
    def the_sender_amends_what_one_waits_for(self, data: st.DataObject, after: tuple[str, ...]) -> None:
        which = data.draw(st.sampled_from(sorted(self.model.concerns)))
        concerns = self.model.facts.concerns
        self.amend(
            {"concerns": tuple(c.model_copy(update={"after": after}) if c.concern_id == which else c for c in concerns)}
        )

    def amend(self, facts: dict[str, Any]) -> None:
        event = self.a_case(CaseAmended, facts)
        self.happens(self.arrives(event), lambda: self.model.amend(event, self.world.now))

    @precondition(lambda self: self.steps > 8)
    @rule(reason=st.sampled_from(WithdrawalReason), sure=st.integers(0, 3))
    def it_is_taken_back(self, reason: WithdrawalReason, sure: int) -> None:
        if sure == 0:
            word = "referral.withdrawn" if reason is WithdrawalReason.BY_PERSON else "referral.cancelled"
            event = CaseWithdrawn(case_id=self.case_id, reason=reason)
            self.happens(self.arrives(event), lambda: self.model.withdraw(word))

    @rule(
        of=reports_of,
        by=partners,
        status=st.sampled_from(CapacityStatus),
        amount=st.integers(0, 2),
        until=st.none() | days_ahead,
    )
    def a_partner_reports(
        self, of: tuple[str, Concern], by: str, status: CapacityStatus, amount: int, until: int | None
    ) -> None:
        partner, code = of
        by = partner if amount else by
        event = CapacityReported(
            partner_id=partner,
            code=code,
            status=status,
            places=amount if status is CapacityStatus.LIMITED else None,
            weeks=amount if status is CapacityStatus.WAITING_LIST else None,
            valid_until=None if until is None else (self.world.now + timedelta(days=until)).date(),
        )
        self.happens(self.arrives(event, by=by), lambda: self.model.capacity(by, event, self.world.now))

    @rule(data=st.data(), to=partners, closes=st.booleans(), twice=st.booleans())
    def the_office_clears(self, data: st.DataObject, to: str, closes: bool, twice: bool) -> None:
        cards = [card.id for card in self.model.cards.values() if card.state == "clearing"] or [*self.model.cards]
        id_ = data.draw(st.sampled_from(cards))
        if closes:
            self.happens(self.by_the_office(id_, None), lambda: self.model.close(id_), twice=twice)
        else:
            self.happens(self.by_the_office(id_, to), lambda: self.model.assign(id_, to, self.world.now), twice=twice)

    @precondition(lambda self: self.last is not None)
    @rule()
    def the_last_step_comes_again(self) -> None:
        assert self.last is not None
        decision = self.world.take(self.last, twice=False)
        assert decision is None or not changes(decision)

    # --- how it happens ----------------------------------------------------------------------------------------------

    def next_step(self) -> str:
        self.steps += 1
        return str(self.steps)

    def a_case(self, kind: type[Any], facts: dict[str, Any]) -> Any:
        """The facts as they are, or were, with these in their place."""
        known = dict(self.model.facts) if self.model.facts else {}
        return kind(
            **{
                "case_id": self.case_id,
                "person_id": PERSON,
                "received_at": NOW,
                "municipality": Municipality.HOFHEIM,
                "urgency": Urgency.NORMAL,
                **known,
                **facts,
            }
        )

    def arrives(self, event: Event, *, by: str | None = None, time: datetime | None = None) -> Step:
        """The event on its way, to be decided about as the service does."""
        arrived = replace(received(event, by=by, cause=self.next_step(), time=time), offset=self.steps)

        def step(looking: Any) -> Command[Any]:
            [reaction] = [r for r in reactions(lambda: looking.situation) if r.event is type(event)]
            return Command(
                reaction.key(event),
                arrived.cause,
                lambda known, now: decided(looking.situation, arrived, known, now),
                (Mark(INBOX, f"{arrived.topic}/{arrived.cause.id}"),),
            )

        return step

    def by_the_office(self, referral_id: str, to: str | None) -> Step:
        """A task of the office's, assigned to a partner or, without one, closed."""
        id_ = derived_id("cause", self.next_step())

        def step(looking: Any) -> Command[Any]:
            def decide(case: RoutedCase | None, now: datetime) -> Decision[RoutedCase]:
                referral = case.referral(referral_id) if case else None
                if case is None or referral is None or referral.state is not ReferralState.CLEARING:
                    return Decision()
                situation = looking.situation
                if to is None:
                    closed = referral.moved(Transition.CLOSED_UNMET, now, Actor.OFFICE, ClosingReason.NO_OFFER)
                    return conclude(case.with_referrals([closed]), (), situation, id_, now)
                agreement = situation.agreements.in_force(case.day)
                assert agreement is not None
                if stands_against(case, referral, to, agreement):
                    return Decision()
                case, told = assigned(
                    case, referral, to, agreement, situation, now, Actor.OFFICE, AssignmentReason.AGREED_BY_PHONE
                )
                return conclude(case, [told], situation, id_, now)

            return Command(self.case_id, Cause(id_, id_, ""), decide, (Mark(INBOX, f"office/{id_}"),))

        return step

    def happens(
        self, step: Step, expect: Callable[[], Expected], *, handed_to: str | None = None, twice: bool = False
    ) -> None:
        """The step takes effect; case and model have to agree about it."""
        self.world.now += A_MOMENT
        expected = expect()
        decision = self.world.take(step, twice=twice)
        assert decision is not None
        self.last = step
        if decision.apart:
            [rejected] = decision.events
            assert isinstance(rejected, ReplyRejected)
            assert rejected.reason.value == expected.refused
            return
        assert expected.refused is None, f"took effect and should not have: {expected.refused}"
        if not isinstance(decision.state, RoutedCase):
            assert not decision.events
            return
        assert expected.effect
        case = self.world.case(self.case_id)
        new = [r for r in case.referrals if r.id not in self.model.cards]
        self.model.follow([*map(_card, new)], self.world.now, expected, handed_to)
        told = Counter((type(e).__name__, e.referral_id) for e in decision.events if isinstance(e, PartnerEvent))
        assert told == +expected.told
        assert [e for e in decision.events if isinstance(e, CaseProgressed)] == [case.progress] == [decision.events[-1]]
        for event in decision.events:
            if isinstance(event, PartnerEvent):
                self.is_the_partners_own(case, event)
                self.is_read(event)

    def is_read(self, event: PartnerEvent) -> None:
        """By its partner, twice, as the gateway does it."""
        self.told += 1
        attributes = {"type": BY_EVENT[type(event)].type, "subject": event.referral_id, "sequence": str(self.told)}
        told = QueueEvent(
            0, self.told, {**attributes, "time": self.world.now.isoformat()}, event.model_dump(mode="json")
        )
        for _ in range(2):
            known = after(self.read.get(event.referral_id), told, event.partner_id)
            assert known is not None
            self.read[event.referral_id] = known

    @staticmethod
    def is_the_partners_own(case: RoutedCase, event: PartnerEvent) -> None:
        referral = case.referral(event.referral_id)
        assert referral is not None
        assert referral.partner_id == event.partner_id
        if isinstance(event, ReferralOffered):
            assert {concern.concern_id for concern in event.concerns} == set(referral.concerns)

    # --- what holds at any time --------------------------------------------------------------------------------------

    @invariant()
    def case_and_model_agree(self) -> None:
        case = self.world.case(self.case_id)
        assert [_seen(_card(referral)) for referral in case.referrals] == [
            _seen(card) for card in self.model.cards.values()
        ]
        assert len({referral.id for referral in case.referrals}) == len(case.referrals)

    @invariant()
    def who_reads_its_queue_knows_how_its_referrals_stand(self) -> None:
        for referral in self.world.case(self.case_id).referrals:
            if referral.partner_id is None:
                assert referral.id not in self.read
                continue
            read = self.read[referral.id]
            assert (read.partner_id, read.state) == (referral.partner_id, referral.state)
            if read.is_open:
                assert read.offer is not None
                assert {concern["concern_id"] for concern in read.offer["concerns"]} == set(referral.concerns)
                booked = referral.booking.appointment_id if referral.booking else None
                assert (read.appointment or {}).get("appointment_id") == booked

    @invariant()
    def each_concern_is_settled_or_in_one_pair_of_hands(self) -> None:
        case = self.world.case(self.case_id)
        in_hand = Counter(c for r in case.referrals if r.state.value in OPEN for c in r.concerns)
        if self.model.withdrawn:
            assert not in_hand
            assert case.state.value == "withdrawn"
            return
        settled = {c.concern_id for c in case.facts.concerns if c.concern_id not in in_hand}
        assert set(in_hand.values()) <= {1}
        assert set(in_hand) | settled == {concern.concern_id for concern in case.facts.concerns}
        for concern in settled:
            last = self.model.last_of(concern)
            assert last is not None
            assert last.state in SETTLED
        whole = "settled" if not in_hand else "partly_settled" if settled else "open"
        assert case.state.value == whole

    @invariant()
    def nobody_has_what_it_may_not(self) -> None:
        for card in self.model.cards.values():
            if card.state in OPEN and card.partner:
                assert card.partner not in self.model.facts.excluded_partners
                assert all(self.model.covered(card.partner, concern) for concern in card.concerns)

    @invariant()
    def the_case_is_due_with_its_first_term(self) -> None:
        case = self.world.case(self.case_id)
        terms = [midnight_after(card.term[1]) for card in self.model.cards.values() if card.term]
        assert case.next_due == min(terms, default=None)


def _card(referral: Any) -> Card:
    """A referral as the clerk writes it down."""
    clock, waiting = referral.clock, referral.waiting
    return Card(
        id=referral.id,
        partner=referral.partner_id,
        state=referral.state.value,
        concerns=referral.concerns,
        unplaced=referral.unplaced and referral.unplaced.value,
        term=(clock.kind.value, clock.last) if clock else None,
        back=waiting.back.value if waiting else None,
        stopped=(waiting.clock.value, waiting.days) if waiting and waiting.clock else None,
        booking=referral.booking.appointment_id if referral.booking else None,
    )


def _seen(card: Card) -> tuple[Any, ...]:
    return (card.id, card.partner, card.state, set(card.concerns), card.term, card.back, card.stopped, card.booking)
