"""What another agreement would have made of recorded cases."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from life_builders import Living
from lifecycle.machine import facts as cases
from routing_builders import AGREEMENTS, MARCH_2017, NOW, SEEN, a_case, case_number, received, state_after

from services.routing.domain.agreement import OFFICE, Agreement, CapacityMode, Partner, Rule, Turn
from services.routing.domain.case import RoutedCase
from services.routing.domain.decisions import route
from services.routing.domain.replies import decline
from services.routing.domain.simulation import (
    UNPLACED,
    Gap,
    Outcome,
    Recorded,
    Simulation,
    days_within,
)
from shared.contracts.codes import Concern, DeclineReason, LegalBasisKind, Municipality, ReferralState
from shared.contracts.intake import CaseOpened, LegalBasis
from shared.contracts.partners import ReplyDeclined
from shared.days import local_day


def a_rule(name: str, *takers: str, fields: Iterable[Concern] = tuple(Concern), **criteria: Any) -> Rule:
    return Rule(id=name, fields=tuple(fields), takers=takers, basis="source", why="a test", **criteria)


def a_division(*rules: Rule, **fields: Any) -> Agreement:
    """A term of 2030 with these rules."""
    partners = [
        Partner(id=id_, name=id_, response_days=5, places=("house",), needs=frozenset())
        for id_ in sorted({taker for rule in rules for taker in rule.takers} - {OFFICE})
    ]
    defaults: dict[str, Any] = {"version": "2030-01-01", "valid_from": date(2030, 1, 1), "valid_to": date(2030, 12, 31)}
    return Agreement(**defaults, basis="source", why="a test", rules=rules, **{"partners": tuple(partners)} | fields)


def a_record(case: RoutedCase) -> Recorded:
    """The case as it is stored."""
    return Recorded(case.day, case.model_dump())


def opened(*codes: Concern, **facts: Any) -> RoutedCase:
    return state_after(route(SEEN, received(a_case(*codes, **facts)), None, NOW))


def declined(case: RoutedCase, times: int = 1) -> RoutedCase:
    """The case after everybody who was asked has declined, so often."""
    for _ in range(times):
        for referral in case.open_referrals:
            if referral.state is ReferralState.OFFERED:
                reply = ReplyDeclined(referral_id=referral.id, reason=DeclineReason.OTHER)
                case = state_after(decline(SEEN, received(reply, by=referral.partner_id), case, NOW))
    return case


def tried_out(agreement: Agreement, *records: Recorded) -> Outcome:
    simulation = Simulation(agreement)
    for record in records:
        simulation.replay(record)
    return simulation.outcome


def test_it_says_who_has_and_who_would_get_how_many() -> None:
    records = [
        a_record(opened(Concern.DEBT, Concern.JOB_SEARCH)),
        a_record(opened(Concern.DEBT, Concern.MONEY_MANAGEMENT)),
    ]

    outcome = tried_out(a_division(a_rule("all", "awo")), *records)

    assert outcome.cases == 2
    assert outcome.now.cases == {"schuldnerberatung": 2, "awo": 1}
    assert outcome.then.cases == {"awo": 2}
    assert outcome.then.concerns == {("awo", "debt"): 2, ("awo", "job_search"): 1, ("awo", "money_management"): 1}


def test_what_nobody_takes_is_counted_by_reason_field_town_and_language() -> None:
    record = a_record(opened(Concern.DEBT, municipality=Municipality.KRIFTEL, languages=("uk", "en")))

    outcome = tried_out(a_division(a_rule("jobs", "awo", fields=[Concern.JOB_SEARCH])), record)

    assert outcome.then.gaps == {Gap("no_rule", "debt", "Kriftel", "uk"): 1}
    assert outcome.then.cases == {UNPLACED: 1}
    assert not outcome.now.gaps


def test_who_declined_a_concern_declines_it_again() -> None:
    case = declined(opened(Concern.DEBT))
    rule = a_rule("both", "schuldnerberatung", "caritas")

    [taker] = tried_out(a_division(rule), a_record(case)).then.cases
    [alone] = tried_out(a_division(a_rule("one", "schuldnerberatung")), a_record(case)).then.gaps

    assert taker == "caritas"
    assert alone.reason == "all_asked"


def test_a_refusal_on_record_counts_for_its_concern_alone() -> None:
    [referral] = (case := opened(Concern.DEBT, Concern.JOB_SEARCH)).referrals[:1]
    reply = ReplyDeclined(referral_id=referral.id, reason=DeclineReason.OTHER)
    case = state_after(decline(SEEN, received(reply, by=referral.partner_id), case, NOW))
    kept = next(c.code for c in case.facts.concerns if c.concern_id not in referral.concerns)
    assert referral.partner_id is not None

    outcome = tried_out(a_division(a_rule("all", referral.partner_id)), a_record(case))

    assert outcome.then.concerns[referral.partner_id, kept] == 1
    assert outcome.then.gaps.total() == 1


def test_a_legal_basis_is_judged_on_the_day_of_the_case() -> None:
    basis = LegalBasis(kind=LegalBasisKind.CONSENT, valid_until=local_day(MARCH_2017))
    on_time = a_record(opened(Concern.DEBT, legal_basis=basis))
    too_late = a_record(opened(Concern.DEBT, legal_basis=basis, received_at=MARCH_2017 + timedelta(days=1)))

    assert tried_out(a_division(a_rule("all", "awo")), on_time).then.cases == {"awo": 1}
    assert [gap.reason for gap in tried_out(a_division(a_rule("all", "awo")), too_late).then.gaps] == ["no_legal_basis"]


def test_outside_the_term_the_rules_of_its_nearest_day_count() -> None:
    early = a_rule("early", "awo", valid_from=date(2030, 1, 1), valid_to=date(2030, 6, 30))
    late = a_rule("late", "caritas", valid_from=date(2030, 7, 1), valid_to=date(2030, 12, 31))
    before = a_record(opened(Concern.DEBT))
    after = Recorded(date(2031, 2, 1), before.case)

    outcome = tried_out(a_division(early, late), before, after, Recorded(date(2030, 7, 1), before.case))

    assert outcome.then.cases == {"awo": 1, "caritas": 2}


def test_load_is_what_the_replay_has_given_so_far() -> None:
    rule = a_rule("both", "awo", OFFICE, turn=(Turn.LOAD,))
    records = [a_record(opened(Concern.DEBT, case_id=case_number(2 * number))) for number in range(10)]

    assert tried_out(a_division(rule), *records).then.cases == {"awo": 5, OFFICE: 5}


def test_nobody_is_full() -> None:
    partner = Partner(
        id="awo", name="AWO", response_days=5, places=("house",), needs=frozenset(), capacity=CapacityMode.REPORTED
    )

    outcome = tried_out(a_division(a_rule("all", "awo"), partners=(partner,)), a_record(opened(Concern.DEBT)))

    assert outcome.then.cases == {"awo": 1}


def test_waiting_is_told_in_working_days() -> None:
    friday = datetime(2026, 11, 20, 9, tzinfo=UTC)
    life = Living(Concern.DEBT, now=friday)
    life.reply("referral.accepted", at=friday + timedelta(days=3))
    life.appointment("booked", starts_at=datetime(2026, 11, 26, 23, 30, tzinfo=UTC))
    life.appointment("cancelled")
    life.appointment("booked", starts_at=datetime(2026, 12, 24, 9, tzinfo=UTC))

    declined = Living(Concern.DEBT, now=friday)
    declined.reply("referral.declined", at=friday + timedelta(days=4))

    outcome = tried_out(a_division(a_rule("all", "awo")), a_record(life.case), a_record(declined.case))

    taker = life.last.partner_id
    assert outcome.until_answer == {taker: {1: 1, 2: 1}}
    assert outcome.until_appointment == {taker: {5: 1}}, "the first one; it begins on the 27th here"


@pytest.mark.parametrize(
    ("part", "waits", "days"),
    [
        (Fraction(1, 2), [(1, {1: 1, 4: 1, 9: 1})], 4),
        (Fraction(9, 10), [(1, dict.fromkeys(range(10), 1))], 8),
        (Fraction(1, 2), [(1, {1: 100}), (3, {7: 1})], 7),
        (Fraction(1, 2), [(3, {1: 100}), (1, {7: 1})], 1),
        (Fraction(1, 2), [], None),
        (Fraction(1, 2), [(0, {3: 1})], None),
    ],
)
def test_waits_count_by_how_many_cases_wait_so(part: Fraction, waits: Any, days: int | None) -> None:
    assert days_within(part, [(cases, Counter(times)) for cases, times in waits]) == days


def facts_of(drawn: Mapping[str, Any]) -> CaseOpened:
    return a_case(**drawn)


@given(drawn=st.lists(cases, max_size=4), times=st.integers(0, 4), version=st.sampled_from(AGREEMENTS.terms))
@settings(max_examples=30)
def test_every_concern_has_one_place_in_both_divisions(
    drawn: list[dict[str, Any]], times: int, version: Agreement
) -> None:
    records = [a_record(declined(opened(**facts), times)) for facts in drawn]

    outcome = tried_out(version, *records)

    concerns = sum(len(facts["concerns"]) for facts in drawn)
    for division in (outcome.now, outcome.then):
        assert division.concerns.total() == concerns
        assert division.gaps.total() == sum(n for (who, _), n in division.concerns.items() if who == UNPLACED)


@given(drawn=cases, times=st.integers(0, 4))
@settings(max_examples=50)
def test_the_agreement_that_decided_decides_the_same_again(drawn: dict[str, Any], times: int) -> None:
    assume(not any(concern.after for concern in drawn["concerns"]))  # a try-out places at once what waited
    case = declined(opened(**drawn), times)
    in_force = AGREEMENTS.in_force(case.day)
    if in_force is None:
        return

    outcome = tried_out(in_force, a_record(case))

    assert outcome.then == outcome.now
