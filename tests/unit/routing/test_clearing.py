"""What the office may do with its tasks, and what is refused."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from routing_builders import (
    AUGUST_2017,
    NOW,
    SEEN,
    a_case,
    a_concern,
    a_routed_case,
    events_of,
    opened,
    received,
    state_after,
)

from services.routing.domain import clearing
from services.routing.domain.case import Referral, RoutedCase
from services.routing.domain.clearing import Assignment, Claim, Closing, Doing
from services.routing.domain.decisions import withdraw
from services.routing.domain.replies import accept, ask_back, decline
from services.routing.domain.situation import Room, Situation
from shared.contracts.base import PartnerId, derived_id, new_id
from shared.contracts.codes import (
    Actor,
    AgeBand,
    AssignmentReason,
    CapacityStatus,
    CaseState,
    ClarificationTopic,
    ClosingReason,
    Concern,
    DeclineReason,
    LegalBasisKind,
    ReferralState,
    UnplacedReason,
    WithdrawalReason,
)
from shared.contracts.intake import CaseWithdrawn, LegalBasis
from shared.contracts.partners import Reply, ReplyAccepted, ReplyClarificationRequested, ReplyDeclined
from shared.contracts.routing import (
    CaseProgressed,
    ClarificationAnswered,
    ReferralClosedUnmet,
    ReferralOffered,
    ReferralReleased,
)
from shared.pipeline.decisions import Decision

A_CHILDS_HOME: Final[dict[str, Any]] = {"age": AgeBand.TEENAGER, "received_at": AUGUST_2017}
"""Nobody is named for it: the front desk clears."""


def a_task(**facts: Any) -> RoutedCase:
    return a_routed_case(Concern.HOUSING_SEARCH, **A_CHILDS_HOME | facts)


def doing(
    do: Doing[Any], said: Any, case: RoutedCase, situation: Situation = SEEN, *, by: str = "office-1"
) -> Decision[RoutedCase]:
    return do(said, case.referrals[0].id, situation, by, derived_id("cause"), case, NOW)


def claimed(case: RoutedCase, by: str = "office-1") -> RoutedCase:
    return state_after(doing(clearing.claim, Claim(), case, by=by))


def first_of(decision: Decision[RoutedCase]) -> Referral:
    return state_after(decision).referrals[0]


def refusal(decision: Decision[RoutedCase]) -> Any:
    """Why nothing was done; and nothing was."""
    assert decision.answer is not None
    assert (decision.state, decision.events) == (None, ())
    return decision.answer


def to(partner_id: PartnerId) -> Assignment:
    return Assignment(partner_id=partner_id, reason=AssignmentReason.AGE_CLARIFIED)


def because(reason: ClosingReason) -> Closing:
    return Closing(reason=reason)


def test_whoever_claims_a_task_has_it_and_nobody_is_told() -> None:
    decision = doing(clearing.claim, Claim(), a_task())

    assert (first_of(decision).claimed_by, first_of(decision).claimed_at) == ("office-1", NOW)
    assert decision.events == ()


@pytest.mark.parametrize("instead_of", [None, "office-1"])
def test_the_same_claim_again_changes_nothing(instead_of: str | None) -> None:
    assert doing(clearing.claim, Claim(instead_of=instead_of), claimed(a_task())) == Decision()


def test_a_claimed_task_is_refused_to_a_second_person() -> None:
    refused = refusal(doing(clearing.claim, Claim(), claimed(a_task()), by="office-2"))

    assert refused == {"refused": "claimed", "state": "clearing", "claimed_by": "office-1"}


@pytest.mark.parametrize(("named", "has_it"), [("office-1", "office-2"), ("office-3", None)])
def test_a_task_is_taken_over_only_by_the_name_of_who_has_it(named: str, has_it: str | None) -> None:
    decision = doing(clearing.claim, Claim(instead_of=named), claimed(a_task()), by="office-2")

    if has_it:
        assert first_of(decision).claimed_by == has_it
    else:
        assert refusal(decision)["refused"] == "claimed"


def test_only_its_claimant_gives_a_task_back() -> None:
    case = claimed(a_task())

    assert refusal(doing(clearing.release, None, case, by="office-2"))["refused"] == "claimed"
    released = doing(clearing.release, None, case)
    assert (first_of(released).claimed_by, first_of(released).claimed_at) == (None, None)
    assert doing(clearing.release, None, state_after(released)) == Decision()


def test_an_assigned_task_is_offered_by_the_office() -> None:
    decision = doing(clearing.assign, to("awo"), claimed(a_task()))

    [offer] = events_of(decision, ReferralOffered)
    assert (offer.partner_id, offer.rules) == ("awo", ("by-hand",))
    assert offer.respond_by > NOW.date()
    referral = first_of(decision)
    assert (referral.state, referral.by, referral.unplaced) == (ReferralState.OFFERED, Actor.OFFICE, None)
    [explained] = [why for why in state_after(decision).explained if why.by is Actor.OFFICE]
    assert (explained.partner_id, explained.reason) == ("awo", "age_clarified")
    assert len(events_of(decision, CaseProgressed)) == 1


def accepted(case: RoutedCase) -> RoutedCase:
    reply = ReplyAccepted(referral_id=case.referrals[0].id)
    return state_after(accept(SEEN, received(reply, by="awo"), case, NOW))


def turned_down(case: RoutedCase) -> RoutedCase:
    reply = ReplyDeclined(referral_id=case.referrals[0].id, reason=DeclineReason.CAPACITY)
    return state_after(decline(SEEN, received(reply, by="awo"), case, NOW))


def taken_back(case: RoutedCase) -> RoutedCase:
    withdrawal = CaseWithdrawn(case_id=case.id, reason=WithdrawalReason.BY_PERSON)
    return state_after(withdraw(SEEN, received(withdrawal), case, NOW))


@pytest.mark.parametrize("since", [lambda case: case, accepted, turned_down, taken_back])
def test_the_same_assignment_again_changes_nothing_whatever_happened_since(
    since: Callable[[RoutedCase], RoutedCase],
) -> None:
    case = since(state_after(doing(clearing.assign, to("awo"), claimed(a_task()))))

    assert doing(clearing.assign, to("awo"), case) == Decision()
    assert refusal(doing(clearing.assign, to("caritas"), case))["refused"] == "wrong-state"
    assert refusal(doing(clearing.assign, to("awo"), case, by="office-2"))["refused"] == "wrong-state"


@pytest.mark.parametrize(
    ("facts", "partner_id", "reason"),
    [
        ({}, "nobody", UnplacedReason.NO_AGREEMENT),
        ({}, "office", UnplacedReason.NO_AGREEMENT),
        ({"excluded_partners": ("awo",)}, "awo", UnplacedReason.EXCLUDED_BY_WISH),
        ({"legal_basis": LegalBasis(kind=LegalBasisKind.NONE)}, "awo", UnplacedReason.NO_LEGAL_BASIS),
        ({"received_at": AUGUST_2017.replace(year=2012)}, "awo", UnplacedReason.NO_AGREEMENT),
    ],
)
def test_what_binds_the_rules_binds_the_office(facts: dict[str, Any], partner_id: str, reason: UnplacedReason) -> None:
    refused = refusal(doing(clearing.assign, to(partner_id), claimed(a_task(**facts))))

    assert refused == {"refused": "partner-not-possible", "state": "clearing", "reason": reason}


def test_capacity_is_noted_and_does_not_bind_the_office() -> None:
    full = Situation(SEEN.agreements, {("awo", Concern.HOUSING_SEARCH): Room(CapacityStatus.NONE, report="r")})

    decision = doing(clearing.assign, to("awo"), claimed(a_task()), full)

    [taker] = state_after(decision).explained[-1].concerns[0].takers
    assert (taker.taker, taker.status) == ("awo", CapacityStatus.NONE)
    assert events_of(decision, ReferralOffered)


def test_a_partner_that_declined_may_be_asked_again_by_the_office() -> None:
    case = a_routed_case(Concern.DEBT)
    reply = ReplyDeclined(referral_id=case.referrals[0].id, reason=DeclineReason.CAPACITY)
    case = state_after(decline(SEEN, received(reply, by="schuldnerberatung"), case, NOW))
    task = case.referrals[1].id

    case = state_after(clearing.claim(Claim(), task, SEEN, "office-1", new_id(), case, NOW))
    decision = clearing.assign(to("schuldnerberatung"), task, SEEN, "office-1", new_id(), case, NOW)

    [offer] = events_of(decision, ReferralOffered)
    assert (offer.referral_id, offer.rules) == (task, ("schuldnerberatung-money",))


def test_a_closed_task_ends_and_the_case_with_it() -> None:
    decision = doing(clearing.close, because(ClosingReason.NO_OFFER), claimed(a_task()))

    [told] = events_of(decision, ReferralClosedUnmet)
    assert told.reason is ClosingReason.NO_OFFER
    assert state_after(decision).state is CaseState.SETTLED
    again = doing(clearing.close, because(ClosingReason.NO_OFFER), state_after(decision))
    assert again == Decision()
    for other, by in ((because(ClosingReason.OTHER), "office-1"), (because(ClosingReason.NO_OFFER), "office-2")):
        assert refusal(doing(clearing.close, other, state_after(decision), by=by))["refused"] == "wrong-state"


def test_what_waited_for_a_closed_task_is_placed() -> None:
    care = a_concern(Concern.CHILDCARE, age=AgeBand.TEENAGER)
    course = a_concern(Concern.INTEGRATION_COURSE).model_copy(update={"after": (care.concern_id,)})
    case = state_after(opened(a_case(concerns=(care, course), received_at=AUGUST_2017)))
    task = next(referral.id for referral in case.referrals if referral.state is ReferralState.CLEARING)

    case = state_after(clearing.claim(Claim(), task, SEEN, "office-1", new_id(), case, NOW))
    decision = clearing.close(because(ClosingReason.DONE_BY_OFFICE), task, SEEN, "office-1", new_id(), case, NOW)

    assert len(events_of(decision, ReferralReleased)) == 1
    [offer] = events_of(decision, ReferralOffered)
    assert (offer.partner_id, offer.concerns[0].concern_id) == ("vhs", course.concern_id)


@pytest.mark.parametrize(
    ("do", "said"),
    [(clearing.assign, to("awo")), (clearing.close, because(ClosingReason.NO_OFFER))],
)
def test_only_the_claimant_ends_a_task(do: Doing[Any], said: Any) -> None:
    assert refusal(doing(do, said, a_task())) == {"refused": "not-claimed", "state": "clearing"}
    assert refusal(doing(do, said, claimed(a_task(), by="office-2")))["refused"] == "claimed"


EVERYTHING: Final = [
    (clearing.claim, Claim()),
    (clearing.release, None),
    (clearing.assign, to("awo")),
    (clearing.close, because(ClosingReason.OTHER)),
    (clearing.answer, None),
]


@pytest.mark.parametrize(("do", "said"), EVERYTHING)
def test_what_is_no_task_is_refused_by_its_state(do: Doing[Any], said: Any) -> None:
    refused = refusal(doing(do, said, a_routed_case(Concern.DEBT)))

    expected = ["waiting"] if do is clearing.answer else ["clearing"]
    assert refused == {"refused": "wrong-state", "state": "offered", "expected": expected}


@pytest.mark.parametrize(("do", "said"), EVERYTHING)
def test_an_unknown_referral_is_refused_and_the_id_of_its_case_is_one(do: Doing[Any], said: Any) -> None:
    case = a_task()

    assert refusal(do(said, new_id(), SEEN, "office-1", new_id(), None, NOW)) == {"refused": "unknown-referral"}
    assert refusal(do(said, case.id, SEEN, "office-1", new_id(), case, NOW)) == {"refused": "unknown-referral"}


def asked_back(case: RoutedCase, by: str) -> RoutedCase:
    reply: Reply = ReplyClarificationRequested(referral_id=case.referrals[0].id, topic=ClarificationTopic.LANGUAGE)
    return state_after(ask_back(SEEN, received(reply, by=by), case, NOW))


def test_the_office_answers_a_partners_question_once() -> None:
    case = asked_back(a_routed_case(Concern.DEBT), "schuldnerberatung")

    decision = doing(clearing.answer, None, case)

    [told] = events_of(decision, ClarificationAnswered)
    referral = first_of(decision)
    assert (referral.state, referral.by) == (ReferralState.OFFERED, Actor.OFFICE)
    assert referral.clock is not None
    assert told.respond_by == referral.clock.last
    assert doing(clearing.answer, None, state_after(decision)) == Decision()
    again = asked_back(state_after(decision), "schuldnerberatung")
    assert events_of(doing(clearing.answer, None, again), ClarificationAnswered)


def test_an_assignment_is_no_answer() -> None:
    case = state_after(doing(clearing.assign, to("awo"), claimed(a_task())))

    assert refusal(doing(clearing.answer, None, case))["refused"] == "wrong-state"
