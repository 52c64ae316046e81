"""Concerns that wait for others, and how far a case with several is."""

import pytest
from life_builders import Living, after
from routing_builders import a_concern, events_of

from shared.contracts.codes import CaseState, Concern, LegalBasisKind, ReferralState, WithdrawalReason
from shared.contracts.intake import LegalBasis
from shared.contracts.routing import ReferralHeld, ReferralOffered, ReferralReleased

CARE, DEBT, HOME = (a_concern(code) for code in (Concern.CHILDCARE, Concern.DEBT, Concern.HOUSING_SEARCH))
HELP = a_concern(Concern.SELF_HELP)
SERVED = ("referral.accepted", "service.started")


def a_household(*concerns: object, **facts: object) -> Living:
    return Living(concerns=concerns, **facts)


@pytest.mark.parametrize("end", ["referral.completed", "referral.failed"])
def test_what_waits_is_held_and_released_when_the_other_has_ended(end: str) -> None:
    life = a_household(CARE, after(DEBT, CARE))
    assert life.with_(Concern.DEBT).state is ReferralState.HELD
    assert [held.after for held in events_of(life.decision, ReferralHeld)] == [(CARE.concern_id,)]
    held = life.with_(Concern.DEBT)

    for event in (*SERVED, end):
        life.reply(event, referral=life.with_(Concern.CHILDCARE))

    assert [event.referral_id for event in events_of(life.decision, ReferralReleased)] == [held.id]
    assert [offer.partner_id for offer in events_of(life.decision, ReferralOffered)] == ["schuldnerberatung"]
    assert life.with_(Concern.DEBT).follows == held.id


def test_what_waits_for_a_sheet_is_placed_in_the_same_decision() -> None:
    life = a_household(after(DEBT, HELP), HELP)

    assert life.with_(Concern.DEBT).state is ReferralState.OFFERED


def test_a_refusal_of_the_other_releases_nothing() -> None:
    life = a_household(CARE, after(DEBT, CARE))

    life.reply("referral.declined", referral=life.with_(Concern.CHILDCARE))

    assert life.with_(Concern.DEBT).state is ReferralState.HELD


def test_a_chain_is_released_link_by_link() -> None:
    life = a_household(CARE, after(DEBT, CARE), after(HOME, DEBT))
    for event in (*SERVED, "referral.completed"):
        life.reply(event, referral=life.with_(Concern.CHILDCARE))

    assert life.with_(Concern.DEBT).state is ReferralState.OFFERED
    assert life.with_(Concern.HOUSING_SEARCH).state is ReferralState.HELD


def test_what_waits_for_several_is_released_with_the_last() -> None:
    life = a_household(CARE, HOME, after(DEBT, CARE, HOME), excluded_partners=("diakonie",))
    together = life.with_(Concern.CHILDCARE)
    assert together.id == life.with_(Concern.HOUSING_SEARCH).id

    apart = a_household(CARE, HOME, after(DEBT, CARE, HOME), excluded_partners=("awo",))
    for event in (*SERVED, "referral.completed"):
        apart.reply(event, referral=apart.with_(Concern.CHILDCARE))

    assert apart.with_(Concern.DEBT).state is ReferralState.HELD


def test_in_a_loop_nobody_waits() -> None:
    life = a_household(after(CARE, DEBT), after(DEBT, CARE), after(HOME, HOME))

    assert {referral.state for referral in life.case.referrals} == {ReferralState.OFFERED}


def test_what_waits_for_a_dropped_concern_waits_no_longer() -> None:
    life = a_household(CARE, after(DEBT, CARE))

    life.amend(after(DEBT, CARE))

    assert life.with_(Concern.DEBT).state is ReferralState.OFFERED


def test_what_no_longer_waits_for_the_same_is_no_longer_held_together() -> None:
    life = a_household(CARE, after(DEBT, CARE), after(HOME, CARE))
    assert life.with_(Concern.DEBT).id == life.with_(Concern.HOUSING_SEARCH).id

    life.amend(CARE, after(DEBT, CARE), HOME)

    assert life.with_(Concern.DEBT).state is ReferralState.HELD
    assert life.with_(Concern.HOUSING_SEARCH).state is ReferralState.OFFERED


def test_what_is_held_ends_with_the_case() -> None:
    life = a_household(CARE, after(DEBT, CARE))

    life.withdraw(WithdrawalReason.BY_PERSON)

    assert {referral.state for referral in life.case.referrals} == {ReferralState.WITHDRAWN}
    assert life.case.state is CaseState.WITHDRAWN


def test_the_roll_up_knows_partly_settled_cases() -> None:
    life = a_household(CARE, DEBT)
    states = [life.case.state]
    for concern in (Concern.CHILDCARE, Concern.DEBT):
        for event in (*SERVED, "referral.completed"):
            life.reply(event, referral=life.with_(concern))
        states.append(life.case.state)
    life.reply("referral.reopened", referral=life.with_(Concern.DEBT))

    assert [*states, life.case.state] == [
        CaseState.OPEN,
        CaseState.PARTLY_SETTLED,
        CaseState.SETTLED,
        CaseState.PARTLY_SETTLED,
    ]


def test_a_partner_that_is_no_longer_wanted_gives_its_concerns_back() -> None:
    life = a_household(CARE, excluded_partners=("diakonie",))
    life.reply("referral.accepted")

    life.amend(excluded_partners=("awo",))

    assert [(r.partner_id, r.state) for r in life.case.referrals] == [
        ("awo", ReferralState.CANCELLED),
        ("diakonie", ReferralState.OFFERED),
    ]


@pytest.mark.parametrize(
    "facts",
    [
        {"legal_basis": LegalBasis(kind=LegalBasisKind.NONE)},
        {"excluded_partners": ("schuldnerberatung",)},
        {"concerns": (CARE,)},
    ],
)
def test_what_its_partner_may_no_longer_have_is_not_reopened(facts: dict[str, object]) -> None:
    life = a_household(DEBT)
    life.replies(*SERVED, "referral.completed")
    first = life.last
    life.amend(*facts.pop("concerns", ()), **facts)  # type: ignore[misc]

    [rejected] = life.reply("referral.reopened", referral=first).events

    assert rejected.reason.value == "too_late"  # type: ignore[attr-defined]
