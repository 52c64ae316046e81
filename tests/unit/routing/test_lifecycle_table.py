"""Every row of DESIGN section 6, held against the table in the code and against the decisions themselves."""

from collections.abc import Callable
from typing import Final

import pytest
from life_builders import ANOTHER, Living, end_of
from lifecycle.arrivals import REPLIES, a_reply, decided, received
from lifecycle.table import EVENT_OF, OF_THE_HOUSE, OPEN, TABLE
from routing_builders import a_concern

from services.routing.domain.assigning import assigned
from services.routing.domain.lifecycle import LIFE, IllegalTransitionError, Transition
from services.routing.domain.lifecycle import after as moved
from services.routing.domain.placing import conclude
from services.routing.domain.ticking import tick
from shared.contracts.base import derived_id
from shared.contracts.codes import (
    Actor,
    AssignmentReason,
    ClosingReason,
    Concern,
    DeclineReason,
    LegalBasisKind,
    ReferralState,
    RejectionReason,
    WithdrawalReason,
)
from shared.contracts.intake import LegalBasis
from shared.contracts.routing import CaseProgressed, PartnerEvent, ReferralOffered, ReplyRejected

NO_BASIS: Final = LegalBasis(kind=LegalBasisKind.NONE)


def living(*events: str) -> Callable[[], Living]:
    def live() -> Living:
        life = Living(Concern.DEBT)
        life.replies(*events)
        return life

    return live


def in_clearing() -> Living:
    return Living(Concern.DEBT, legal_basis=NO_BASIS)


def held() -> Living:
    work, debt = a_concern(Concern.JOB_SEARCH), a_concern(Concern.DEBT)
    debt = debt.model_copy(update={"after": (work.concern_id,)})
    return Living(concerns=(debt, work), excluded_partners=("awo", "caritas", "diakonie"))


def released() -> Living:
    life = held()
    life.amend(a_concern(Concern.DEBT))
    return life


def scheduled() -> Living:
    life = living("referral.accepted")()
    life.appointment("booked")
    return life


def expired() -> Living:
    life = living()()
    life.tick(end_of("2026-11-27"))
    life.tick(end_of("2026-12-01"))
    return life


def closed() -> Living:
    life = in_clearing()
    by_the_office(life, "referral.closed_unmet")
    return life


def taken_back(reason: WithdrawalReason) -> Callable[[], Living]:
    def live() -> Living:
        life = living()()
        life.withdraw(reason)
        return life

    return live


IN_SERVICE: Final = ("referral.accepted", "service.started")
LIVES: Final[dict[str, Callable[[], Living]]] = {
    "held": held,
    "released": released,
    "informed": lambda: Living(Concern.SELF_HELP),
    "clearing": in_clearing,
    "closed": closed,
    "offered": living(),
    "accepted": living("referral.accepted"),
    "declined": living("referral.declined"),
    "expired": expired,
    "waiting": living("clarification.requested"),
    "scheduled": scheduled,
    "in_service": living(*IN_SERVICE),
    "on_hold": living(*IN_SERVICE, "service.paused"),
    "handed_on": living(*IN_SERVICE, "referral.handed_on"),
    "completed": living(*IN_SERVICE, "referral.completed"),
    "failed": living(*IN_SERVICE, "referral.failed"),
    "withdrawn": taken_back(WithdrawalReason.BY_PERSON),
    "cancelled": taken_back(WithdrawalReason.BY_SENDER),
}
"""A case whose first referral is in the state."""

states = pytest.mark.parametrize("state", sorted(LIVES))


def by_the_office(life: Living, event: str) -> None:
    first = life.case.referrals[0]
    agreement = life.situation.agreements.in_force(life.case.day)
    assert agreement is not None
    if event == "referral.offered":
        case, told = assigned(
            life.case, first, "awo", agreement, life.situation, life.now, Actor.OFFICE, AssignmentReason.OTHER
        )
        life.made(conclude(case, [told], life.situation, derived_id("office"), life.now))
    else:
        ended = first.moved(Transition.CLOSED_UNMET, life.now, Actor.OFFICE, ClosingReason.NO_OFFER)
        life.made(conclude(life.case.with_referrals([ended]), (), life.situation, derived_id("office"), life.now))


def told_about_first(life: Living) -> list[str]:
    first = life.case.referrals[0].id
    return [
        type(event).__name__
        for event in life.decision.events
        if isinstance(event, PartnerEvent) and event.referral_id == first
    ]


def progress_is_told_last(life: Living) -> bool:
    told = [event for event in life.decision.events if isinstance(event, CaseProgressed)]
    return told == [life.case.progress] == [life.decision.events[-1]]


def test_the_code_has_every_row_and_no_more() -> None:
    rows = {
        transition.value: ({state.value for state in row.states}, row.to.value if row.to else "")
        for transition, row in LIFE.items()
    }

    assert rows == {event: (set(states), to) for event, (states, to) in (TABLE | OF_THE_HOUSE).items()}


def test_every_state_has_a_life_that_leads_there() -> None:
    assert {state.value for state in ReferralState} == set(LIVES)
    assert {state: live().case.referrals[0].state.value for state, live in LIVES.items()} == {
        state: state for state in LIVES
    }


@states
@pytest.mark.parametrize("transition", Transition)
def test_what_the_table_does_not_name_is_refused_by_the_names_of_state_and_event(
    state: str, transition: Transition
) -> None:
    froms, to = (TABLE | OF_THE_HOUSE)[transition.value]
    if state in froms:
        assert moved(ReferralState(state), transition).value == (to or state)
        return
    with pytest.raises(IllegalTransitionError, match=rf"^{transition.value} is not possible from {state}$"):
        moved(ReferralState(state), transition)


@states
@pytest.mark.parametrize("event", sorted(REPLIES))
def test_a_reply_does_what_its_row_says_or_is_refused_by_what_was_expected(state: str, event: str) -> None:
    life = LIVES[state]()
    first = life.case.referrals[0]
    froms, to = TABLE[event]

    life.reply(event, referral=first, by=first.partner_id or "awo")

    if first.partner_id is None:
        [rejected] = life.decision.events
        assert isinstance(rejected, ReplyRejected)
        assert (rejected.reason, rejected.state, rejected.expected) == (RejectionReason.UNKNOWN_REFERRAL, None, ())
    elif state in froms:
        back = "offered" if state == "waiting" else state
        assert life.case.referrals[0].state.value == (to or back)
        assert told_about_first(life) == [EVENT_OF[event]]
        assert progress_is_told_last(life)
    else:
        [rejected] = life.decision.events
        assert isinstance(rejected, ReplyRejected)
        assert rejected.reason is RejectionReason.WRONG_STATE
        assert (rejected.state, set(rejected.expected)) == (ReferralState(state), set(map(ReferralState, froms)))
        assert life.decision.state is None


@states
@pytest.mark.parametrize("event", sorted(REPLIES))
@pytest.mark.parametrize("by", ["vhs", "nobody"])
def test_a_reply_from_anybody_else_is_unknown(state: str, event: str, by: str) -> None:
    life = LIVES[state]()

    life.reply(event, referral=life.case.referrals[0], by=by)

    [rejected] = life.decision.events
    assert isinstance(rejected, ReplyRejected)
    assert (rejected.reason, rejected.state, rejected.expected) == (RejectionReason.UNKNOWN_REFERRAL, None, ())


@states
@pytest.mark.parametrize(
    ("reason", "event"),
    [(WithdrawalReason.BY_PERSON, "referral.withdrawn"), (WithdrawalReason.BY_SENDER, "referral.cancelled")],
)
def test_what_is_open_can_be_taken_back(state: str, reason: WithdrawalReason, event: str) -> None:
    life = LIVES[state]()
    first, was_withdrawn = life.case.referrals[0], life.case.withdrawn

    life.withdraw(reason)

    assert life.case.referrals[0].state.value == (TABLE[event][1] if state in OPEN else state)
    assert told_about_first(life) == ([EVENT_OF[event]] if state in OPEN and first.partner_id else [])
    assert progress_is_told_last(life) is not bool(was_withdrawn)


@states
@pytest.mark.parametrize(
    ("said", "event"),
    [
        ("booked", "referral.scheduled"),
        ("rescheduled", "referral.rescheduled"),
        ("cancelled", "referral.unscheduled"),
        ("missed", "referral.unscheduled"),
    ],
)
def test_an_appointment_moves_what_its_row_names_and_nothing_that_is_not_taken(
    state: str, said: str, event: str
) -> None:
    life = LIVES[state]()
    froms, to = TABLE[event]
    keeps_a_date = said == "booked" and state in ("in_service", "on_hold")

    life.appointment(said, life.case.referrals[0])

    if state in froms:
        assert life.case.referrals[0].state.value == (to or state)
    else:
        assert life.case.referrals[0].state.value == state
    assert told_about_first(life) == ([EVENT_OF[event]] if state in froms or keeps_a_date else [])
    assert (life.decision.state is not None) is (state in froms or keeps_a_date)


def test_another_appointment_takes_the_place_of_the_first() -> None:
    life = scheduled()

    life.appointment("rescheduled")

    booking = life.last.booking
    assert booking is not None
    assert booking.appointment_id == ANOTHER


@states
def test_a_clock_moves_only_what_has_one(state: str) -> None:
    life = LIVES[state]()
    event = {"offered": "referral.overdue", "waiting": "clarification.expired", "on_hold": "service.review_due"}.get(
        state
    )

    decision = tick(life.situation, derived_id("tick"), life.case, end_of("2027-06-30"))

    told = [e for e in decision.events if isinstance(e, PartnerEvent) and e.referral_id == life.case.referrals[0].id]
    assert [type(e).__name__ for e in told] == ([EVENT_OF[event]] if event else [])
    if event:
        assert decision.state is not None
        assert decision.state.referrals[0].state.value == ("offered" if state in ("offered", "waiting") else state)


@states
def test_an_amendment_that_drops_the_concern_ends_what_is_open_and_nothing_else(state: str) -> None:
    life = LIVES[state]()
    first, was_withdrawn = life.case.referrals[0], life.case.withdrawn

    life.amend(a_concern(Concern.CHILDCARE))

    is_open = state in OPEN and not was_withdrawn
    assert life.case.referrals[0].state.value == ("cancelled" if is_open else state)
    assert told_about_first(life) == (["ReferralCancelled"] if is_open and first.partner_id else [])


@pytest.mark.parametrize(("event", "name"), [("referral.offered", "ReferralOffered"), ("referral.closed_unmet", "")])
def test_the_office_offers_or_closes_what_is_in_clearing(event: str, name: str) -> None:
    life = Living(Concern.MONEY_MANAGEMENT)

    by_the_office(life, event)

    assert life.case.referrals[0].state.value == TABLE[event][1]
    assert told_about_first(life) == ([name] if name else [])
    assert progress_is_told_last(life)


@pytest.mark.parametrize("reason", DeclineReason)
def test_each_reason_to_decline_routes_the_concern_again(reason: DeclineReason) -> None:
    life = Living(Concern.CHILDCARE)
    first = life.last

    life.reply("referral.declined", reason=reason)

    assert (life.case.referrals[0].state, life.case.referrals[0].reason) == (ReferralState.DECLINED, reason.value)
    assert [type(event) for event in life.decision.events if isinstance(event, ReferralOffered)] == [ReferralOffered]
    assert (life.last.follows, life.last.concerns) == (first.id, first.concerns)
    assert life.last.partner_id != first.partner_id


def test_the_seven_reasons_of_design_are_the_reasons() -> None:
    expected = "capacity not_eligible out_of_area out_of_agreement language documents_missing other"

    assert {reason.value for reason in DeclineReason} == set(expected.split())


@pytest.mark.parametrize("event", sorted(REPLIES))
def test_a_reply_to_a_case_nobody_knows_is_unknown(event: str) -> None:
    life = Living(Concern.DEBT)

    decision = decided(life.situation, received(a_reply(event, life.last.id), by="awo"), None, life.now)

    assert [e.reason for e in decision.events if isinstance(e, ReplyRejected)] == [RejectionReason.UNKNOWN_REFERRAL]
