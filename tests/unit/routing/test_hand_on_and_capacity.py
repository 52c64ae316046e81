"""Hand-ons, reports of capacity, sheets, gaps, reopening: whom a concern may go to, and until when."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from life_builders import Living, end_of
from lifecycle.agreements import NOW, TERMS, a_partner, a_rule, an_agreement
from routing_builders import a_case, case_number, events_of, received, state_after

from services.routing.domain.capacity import PartnerCapacity, note_capacity
from services.routing.domain.decisions import route
from services.routing.domain.situation import Room, Situation
from shared.contracts.codes import (
    CapacityStatus,
    Concern,
    LegalBasisKind,
    ReferralState,
    RejectionReason,
    UnplacedReason,
)
from shared.contracts.intake import LegalBasis
from shared.contracts.partners import CapacityReported
from shared.contracts.routing import CoverageGapFound, ReferralInformed, ReferralUnplaced, ReplyRejected
from shared.pipeline.decisions import Decision

SERVED = ("referral.accepted", "service.started")
ONLY_AWO = LegalBasis(kind=LegalBasisKind.CONSENT, partners=("awo",))
AVAILABLE, FULL = Room(CapacityStatus.AVAILABLE), Room(CapacityStatus.NONE)


def refusal(decision: Decision[Any]) -> RejectionReason:
    [rejected] = events_of(decision, ReplyRejected)
    return rejected.reason


def reported(
    code: Concern = Concern.JOB_SEARCH,
    status: CapacityStatus = CapacityStatus.NONE,
    *,
    by: str = "awo",
    of: str = "awo",
    claimed: datetime | None = None,
    **said: Any,
) -> Decision[PartnerCapacity]:
    report = CapacityReported(partner_id=of, code=code, status=status, **said)
    return note_capacity(Situation(TERMS), replace(received(report, by=by), time=claimed), None, NOW)


def asked(situation: Situation, code: Concern, turns: int = 12, **facts: Any) -> list[str]:
    """Whom that many cases go to, decided in one batch."""
    found = []
    for turn in range(turns):
        case = a_case(code, **{"case_id": case_number(turn), "received_at": NOW, "languages": ("uk",), **facts})
        [referral] = state_after(route(situation, received(case), None, NOW)).referrals
        found.append(referral.partner_id or referral.unplaced or "")
    return found


def rooms(**by_partner: Room) -> Situation:
    return Situation(TERMS, {(partner, Concern.JOB_SEARCH): room for partner, room in by_partner.items()})


def test_a_hand_on_to_somebody_named_offers_it_to_them() -> None:
    life = Living(Concern.DEBT)
    life.replies(*SERVED)
    first = life.last

    life.reply("referral.handed_on", to="awo")

    assert (life.last.partner_id, life.last.follows, life.last.state) == ("awo", first.id, ReferralState.OFFERED)


def test_a_hand_on_without_a_name_goes_by_the_rules() -> None:
    life = Living(Concern.CHILDCARE)
    first = life.last.partner_id
    life.replies("referral.accepted", "referral.handed_on")

    assert life.last.partner_id == ({"awo", "diakonie"} - {first}).pop()


@pytest.mark.parametrize(
    ("to", "facts"),
    [
        ("vhs", {}),
        ("nobody", {}),
        ("office", {}),
        ("schuldnerberatung", {}),
        ("awo", {"excluded_partners": ("awo",)}),
        ("awo", {"legal_basis": LegalBasis(kind=LegalBasisKind.CONSENT, partners=("schuldnerberatung",))}),
    ],
)
def test_a_hand_on_to_somebody_impossible_is_refused_without_saying_why(to: str, facts: dict[str, Any]) -> None:
    life = Living(Concern.DEBT, **facts)
    life.replies("referral.accepted")

    [rejected] = events_of(life.reply("referral.handed_on", to=to), ReplyRejected)

    assert (rejected.reason, rejected.state, rejected.expected) == (
        RejectionReason.TARGET_NOT_POSSIBLE,
        ReferralState.ACCEPTED,
        (),
    )
    assert life.last.state is ReferralState.ACCEPTED


def test_a_loop_of_hand_ons_ends_in_clearing() -> None:
    life = Living(Concern.JOB_SEARCH)
    had = []
    while life.last.partner_id:
        had.append(life.last.partner_id)
        life.replies("referral.accepted", "referral.handed_on")

    assert sorted(had) == ["awo", "caritas", "diakonie"]
    assert life.last.unplaced is UnplacedReason.ALL_ASKED


def test_nothing_is_handed_back_to_who_had_it() -> None:
    life = Living(Concern.DEBT)
    life.replies("referral.accepted")
    life.reply("referral.handed_on", to="awo")
    life.replies("referral.accepted")

    assert refusal(life.reply("referral.handed_on", to="schuldnerberatung")) is RejectionReason.TARGET_NOT_POSSIBLE


def test_a_rule_by_load_shares_evenly_within_a_batch() -> None:
    found = asked(Situation(TERMS), Concern.JOB_SEARCH)

    assert {partner: found.count(partner) for partner in found} == {"awo": 4, "caritas": 4, "diakonie": 4}


def test_a_rule_by_load_evens_out_what_was_uneven() -> None:
    situation = Situation(TERMS, loads={"awo": 5, "caritas": 5})

    assert asked(situation, Concern.JOB_SEARCH, turns=5) == ["diakonie"] * 5


def test_a_rule_by_language_asks_who_speaks_it() -> None:
    assert set(asked(Situation(TERMS), Concern.GENERAL, languages=("ar",))) == {"caritas"}


def test_preferred_partners_are_asked_and_excluded_ones_are_not() -> None:
    assert set(asked(Situation(TERMS), Concern.JOB_SEARCH, preferred_partners=("awo",))) == {"awo"}
    assert "awo" not in asked(Situation(TERMS), Concern.JOB_SEARCH, excluded_partners=("awo",))


def test_who_has_a_waiting_list_is_asked_after_the_free_and_the_shortest_first() -> None:
    long, short = (Room(CapacityStatus.WAITING_LIST, weeks=weeks, report=str(weeks)) for weeks in (8, 2))

    assert set(asked(rooms(awo=long, caritas=short), Concern.JOB_SEARCH, turns=4)) == {"diakonie"}
    assert set(asked(rooms(awo=long, caritas=short, diakonie=long), Concern.JOB_SEARCH, turns=4)) == {"caritas"}


def test_a_limited_offer_is_counted_within_a_batch() -> None:
    two = Room(CapacityStatus.LIMITED, places=2, report="two")

    found = asked(rooms(awo=two, caritas=FULL, diakonie=FULL), Concern.JOB_SEARCH, turns=4)

    assert found == ["awo", "awo", UnplacedReason.NO_CAPACITY, UnplacedReason.NO_CAPACITY]


def test_a_reopened_service_takes_a_place_again() -> None:
    life = Living(Concern.DEBT)
    life.replies(*SERVED, "referral.completed")
    limited = Room(CapacityStatus.LIMITED, places=1, report="one")
    life.situation = Situation(TERMS, {("schuldnerberatung", Concern.DEBT): limited})

    life.reply("referral.reopened")

    assert life.case.taken == (("one", life.last.id),)
    assert asked(life.situation, Concern.DEBT, turns=1) == [UnplacedReason.NO_CAPACITY]


def test_who_has_to_report_takes_nothing_without_a_report() -> None:
    free = Situation(TERMS, {("vhs", Concern.GERMAN_COURSE): Room(CapacityStatus.AVAILABLE, report="r")})

    assert set(asked(Situation(TERMS), Concern.GERMAN_COURSE)) == {UnplacedReason.NO_CAPACITY}
    assert set(asked(free, Concern.GERMAN_COURSE)) == {"vhs"}


def test_a_report_counts_until_its_day_is_over_or_for_the_agreements_time() -> None:
    assert state_after_report(reported()).expires_at == end_of("2026-12-07")
    assert state_after_report(reported(valid_until=date(2026, 11, 25))).expires_at == end_of("2026-11-25")


def state_after_report(decision: Decision[PartnerCapacity]) -> PartnerCapacity:
    assert decision.state is not None
    return decision.state


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"by": "vhs"}, RejectionReason.INVALID),
        ({"code": Concern.SCHOOL_EDUCATION}, RejectionReason.NOT_IN_AGREEMENT),
        ({"valid_until": date(2026, 11, 22)}, RejectionReason.IN_THE_PAST),
        ({"valid_until": date(2028, 1, 1)}, RejectionReason.FROM_THE_FUTURE),
        ({"valid_until": date.max}, RejectionReason.FROM_THE_FUTURE),
        ({"claimed": NOW + timedelta(hours=25)}, RejectionReason.FROM_THE_FUTURE),
    ],
)
def test_a_report_that_makes_no_sense_is_refused(said: dict[str, Any], reason: RejectionReason) -> None:
    assert refusal(reported(**said)) is reason


def test_a_sheet_answers_at_once() -> None:
    life = Living(Concern.SELF_HELP, legal_basis=LegalBasis(kind=LegalBasisKind.NONE))

    [informed] = events_of(life.decision, ReferralInformed)
    assert (informed.sheet, life.case.state.value) == ("sheet-help", "settled")


@pytest.mark.parametrize(
    ("code", "facts", "reason", "is_gap"),
    [
        (Concern.MONEY_MANAGEMENT, {}, UnplacedReason.NO_RULE, True),
        (Concern.GERMAN_COURSE, {}, UnplacedReason.NO_CAPACITY, True),
        (Concern.DEBT, {"received_at": datetime(2019, 1, 1, tzinfo=UTC)}, UnplacedReason.NO_AGREEMENT, True),
        (
            Concern.DEBT,
            {"legal_basis": LegalBasis(kind=LegalBasisKind.NONE)},
            UnplacedReason.NO_LEGAL_BASIS,
            False,
        ),
        (Concern.DEBT, {"excluded_partners": ("schuldnerberatung",)}, UnplacedReason.EXCLUDED_BY_WISH, False),
        (Concern.GENERAL, {"excluded_partners": ("caritas", "diakonie")}, UnplacedReason.OFFICE_TASK, False),
    ],
)
def test_only_a_shortcoming_of_the_agreement_is_a_gap(
    code: Concern, facts: dict[str, Any], reason: UnplacedReason, is_gap: bool
) -> None:
    life = Living(code, **facts)

    assert [told.reason for told in events_of(life.decision, ReferralUnplaced)] == [reason]
    assert [gap.reason for gap in events_of(life.decision, CoverageGapFound)] == [reason] * is_gap


@pytest.mark.parametrize(
    ("facts", "diakonie", "reason", "is_gap"),
    [
        ({"excluded_partners": ("diakonie",)}, AVAILABLE, UnplacedReason.EXCLUDED_BY_WISH, False),
        ({"legal_basis": ONLY_AWO}, AVAILABLE, UnplacedReason.NO_LEGAL_BASIS, False),
        ({}, FULL, UnplacedReason.NO_CAPACITY, True),
    ],
)
def test_the_reason_is_what_stands_against_those_that_did_not_refuse(
    facts: dict[str, Any], diakonie: Room, reason: UnplacedReason, is_gap: bool
) -> None:
    life = Living(Concern.CHILDCARE, **{"preferred_partners": ("awo",), **facts})
    life.situation = Situation(TERMS, {("diakonie", Concern.CHILDCARE): diakonie})

    life.reply("referral.declined")

    assert [told.reason for told in events_of(life.decision, ReferralUnplaced)] == [reason]
    assert [gap.reason for gap in events_of(life.decision, CoverageGapFound)] == [reason] * is_gap


def test_a_wish_beside_a_full_partner_is_no_gap() -> None:
    found = asked(rooms(awo=FULL, caritas=FULL), Concern.JOB_SEARCH, 1, excluded_partners=("diakonie",))

    assert found == [UnplacedReason.EXCLUDED_BY_WISH]


def test_a_wish_against_who_refused_before_changes_nothing() -> None:
    life = Living(Concern.DEBT)
    life.reply("referral.declined")
    task = life.last

    life.amend(excluded_partners=("schuldnerberatung",))

    assert (life.last, task.unplaced) == (task, UnplacedReason.ALL_ASKED)


@pytest.mark.parametrize("end", ["referral.completed", "referral.failed"])
@pytest.mark.parametrize(("days", "reopens"), [(0, True), (90, True), (91, False)])
def test_a_service_is_reopened_within_ninety_days(end: str, days: int, reopens: bool) -> None:
    life = Living(Concern.DEBT)
    life.replies(*SERVED, end)

    decision = life.reply("referral.reopened", at=NOW + timedelta(days=days))

    assert (life.last.state is ReferralState.IN_SERVICE) is reopens
    assert reopens or refusal(decision) is RejectionReason.TOO_LATE


def test_after_a_withdrawal_nothing_is_reopened() -> None:
    life = Living(Concern.DEBT)
    life.replies(*SERVED, "referral.completed")
    life.withdraw()

    assert refusal(life.reply("referral.reopened")) is RejectionReason.TOO_LATE


def test_a_reply_may_be_a_day_ahead_and_no_more() -> None:
    life = Living(Concern.DEBT)

    ahead = life.reply("referral.accepted", claimed=NOW + timedelta(hours=25))

    assert refusal(ahead) is RejectionReason.FROM_THE_FUTURE
    assert life.reply("referral.accepted", claimed=NOW + timedelta(hours=23)).state is not None


@pytest.mark.parametrize(
    ("days", "reason"), [(-1, RejectionReason.IN_THE_PAST), (367, RejectionReason.FROM_THE_FUTURE)]
)
def test_a_review_lies_within_a_year(days: int, reason: RejectionReason) -> None:
    life = Living(Concern.DEBT)
    life.replies(*SERVED)

    assert refusal(life.reply("service.paused", review_on=NOW.date() + timedelta(days=days))) is reason


def test_an_appointment_booked_during_a_question_counts_when_it_is_answered() -> None:
    life = Living(Concern.DEBT)
    life.replies("referral.accepted", "clarification.requested")
    life.appointment("booked")
    assert life.last.state is ReferralState.WAITING

    life.reply("clarification.answered")

    assert life.last.state is ReferralState.SCHEDULED


def test_an_appointment_lost_during_a_service_leaves_it_running() -> None:
    life = Living(Concern.DEBT)
    life.replies(*SERVED)
    life.appointment("booked")
    life.appointment("missed")

    assert (life.last.state, life.last.booking) == (ReferralState.IN_SERVICE, None)


def test_whom_a_partner_may_hand_on_to_reports_its_capacity_too() -> None:
    decision = reported(Concern.HOUSING_SEARCH, by="vhs", of="vhs")

    assert decision.state is not None
    assert decision.state.status is CapacityStatus.NONE


def test_a_sheet_and_a_partner_of_the_same_name_are_two_referrals() -> None:
    terms = an_agreement(
        a_partner("awo"), a_rule("work", "job_search", takers=["awo"]), a_rule("help", "self_help", sheet="awo")
    )

    life = Living(Concern.JOB_SEARCH, Concern.SELF_HELP, terms=terms)

    assert {referral.state for referral in life.case.referrals} == {ReferralState.OFFERED, ReferralState.INFORMED}


def test_what_a_wish_stood_against_is_placed_when_the_wish_is_dropped_unless_somebody_clears_it() -> None:
    life = Living(Concern.DEBT, excluded_partners=("schuldnerberatung",))
    claimed = life.case.with_referrals([life.last.model_copy(update={"claimed_by": "fd-1"})])

    life.amend(excluded_partners=())
    assert (life.last.state, life.last.partner_id) == (ReferralState.OFFERED, "schuldnerberatung")

    life.case = claimed
    life.amend(excluded_partners=())
    assert life.last.state is ReferralState.CLEARING
