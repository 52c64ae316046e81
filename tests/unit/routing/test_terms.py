"""The terms of a referral: working days, grace, questions, reviews, nights with another length."""

from datetime import UTC, date, datetime, timedelta

import pytest
from life_builders import Living, end_of
from lifecycle.agreements import a_partner, a_rule, an_agreement
from routing_builders import events_of

from services.routing.domain.agreement import Agreements
from services.routing.domain.case import ClockKind
from shared.contracts.codes import Concern, ReferralState, RejectionReason
from shared.contracts.routing import (
    ClarificationAnswered,
    ReferralExpired,
    ReferralOverdue,
    ReplyRejected,
    ServiceReviewDue,
)

A_MINUTE = timedelta(minutes=1)


def last_day(life: Living) -> date:
    assert life.last.clock is not None
    return life.last.clock.last


def with_grace(days: int) -> Agreements:
    return an_agreement(
        a_partner("awo", response_days=2, grace_days=days), a_rule("work", "job_search", takers=["awo"])
    )


def test_a_partner_has_its_working_days_without_those_it_is_closed() -> None:
    life = Living(Concern.CHILDCARE, excluded_partners=("awo",), now=datetime(2026, 11, 27, 9, tzinfo=UTC))

    assert last_day(life) == date(2026, 12, 7)  # Monday the 30th, then closed from the 1st to the 4th


def test_hesses_holidays_are_no_working_days() -> None:
    life = Living(Concern.DEBT, now=datetime(2026, 12, 23, 9, tzinfo=UTC))

    assert last_day(life) == date(2026, 12, 30)  # without Christmas and the weekend


def test_a_rule_may_give_less_time_than_the_partner_has() -> None:
    assert last_day(Living(Concern.HOUSING_SEARCH)) == date(2026, 11, 24)


def test_an_offer_is_overdue_then_expires_and_is_routed_without_those_asked() -> None:
    life = Living(Concern.CHILDCARE, excluded_partners=())
    first = life.last
    assert first.clock is not None

    [overdue] = events_of(life.tick(first.clock.at), ReferralOverdue)
    assert (life.last.state, life.last.is_overdue) == (ReferralState.OFFERED, True)
    assert last_day(life) == overdue.expires_on

    [expired] = events_of(life.tick(life.last.clock.at if life.last.clock else life.now), ReferralExpired)
    assert expired.referral_id == first.id
    assert life.case.referrals[0].state is ReferralState.EXPIRED
    assert (life.last.follows, life.last.partner_id) == (
        first.id,
        ({"awo", "diakonie"} - {first.partner_id}).pop(),
    )


def test_without_grace_an_offer_is_overdue_and_expires_at_once() -> None:
    life = Living(Concern.JOB_SEARCH, terms=with_grace(0))

    assert events_of(life.tick(end_of("2026-11-25")), ReferralOverdue)
    assert events_of(life.tick(end_of("2026-11-25")), ReferralExpired)


def test_after_a_week_without_the_system_grace_is_still_given() -> None:
    life = Living(Concern.DEBT)
    back = datetime(2026, 12, 7, 7, tzinfo=UTC)

    decision = life.tick(back)

    assert events_of(decision, ReferralOverdue)
    assert not events_of(decision, ReferralExpired)
    assert last_day(life) == date(2026, 12, 8)
    assert life.tick(back + A_MINUTE).state is None


def test_a_question_gives_back_the_days_that_were_left() -> None:
    life = Living(Concern.DEBT)  # until Friday the 27th
    life.reply("clarification.requested", at=datetime(2026, 11, 25, 9, tzinfo=UTC))  # three days left, today's included
    assert last_day(life) == date(2026, 12, 2)

    [told] = events_of(
        life.reply("clarification.answered", at=datetime(2026, 12, 1, 9, tzinfo=UTC)), ClarificationAnswered
    )

    assert (told.respond_by, last_day(life)) == (date(2026, 12, 3), date(2026, 12, 3))


def test_a_question_on_the_last_day_gives_back_one() -> None:
    life = Living(Concern.DEBT)
    life.reply("clarification.requested", at=datetime(2026, 11, 27, 22, tzinfo=UTC))
    life.reply("clarification.answered", at=datetime(2026, 11, 30, 9, tzinfo=UTC))

    assert last_day(life) == date(2026, 11, 30)


def test_a_question_that_came_too_late_but_first_gives_back_one_day() -> None:
    life = Living(Concern.DEBT)
    life.reply("clarification.requested", at=datetime(2026, 12, 14, 9, tzinfo=UTC))
    life.reply("clarification.answered")

    assert last_day(life) == date(2026, 12, 14)


def test_a_question_in_the_days_of_grace_leaves_the_referral_overdue() -> None:
    life = Living(Concern.DEBT)
    life.tick(end_of("2026-11-27"))
    life.reply("clarification.requested", at=datetime(2026, 12, 1, 9, tzinfo=UTC))
    assert life.last.standing.overdue

    life.reply("clarification.answered")

    assert life.last.clock is not None
    assert (life.last.clock.kind, last_day(life), life.last.standing.overdue) == (
        ClockKind.GRACE,
        date(2026, 12, 1),
        True,
    )


def test_a_question_that_nobody_answers_ends_and_the_term_runs_on() -> None:
    life = Living(Concern.DEBT)
    life.reply("clarification.requested")

    life.tick(end_of("2026-11-30"))

    assert life.last.state is ReferralState.OFFERED
    assert last_day(life) == date(2026, 12, 7)  # all five days of Monday to Friday, from Tuesday


def test_a_question_of_an_accepted_referral_leaves_no_clock_behind() -> None:
    life = Living(Concern.DEBT)
    life.replies("referral.accepted", "clarification.requested", "clarification.answered")

    assert (life.last.state, life.last.clock) == (ReferralState.ACCEPTED, None)


def test_a_review_comes_again_until_something_is_decided() -> None:
    life = Living(Concern.DEBT)
    life.replies("referral.accepted", "service.started", "service.paused")
    days = []
    for _ in range(3):
        assert life.last.clock is not None
        [told] = events_of(life.tick(life.last.clock.at), ServiceReviewDue)
        days.append(told.review_on)

    assert days == [date(2027, 1, 7), date(2027, 2, 5), date(2027, 3, 5)]
    assert life.last.state is ReferralState.ON_HOLD


@pytest.mark.parametrize(
    ("today", "midnight"),
    [
        (datetime(2026, 3, 27, 9, tzinfo=UTC), datetime(2026, 3, 30, 22, tzinfo=UTC)),  # the night of the 29th is short
        (
            datetime(2026, 10, 23, 9, tzinfo=UTC),
            datetime(2026, 10, 26, 23, tzinfo=UTC),
        ),  # the night of the 25th is long
    ],
)
def test_a_term_ends_at_local_midnight_whatever_the_clocks_did(today: datetime, midnight: datetime) -> None:
    life = Living(Concern.HOUSING_SEARCH, now=today)

    assert life.case.next_due == midnight
    assert life.tick(midnight - timedelta(milliseconds=1)).state is None
    assert life.tick(midnight).state is not None


@pytest.mark.parametrize(("review", "midnight"), [("2027-03-28", 22), ("2027-10-31", 23)])
def test_a_review_on_the_day_of_a_change_of_clocks_is_due_when_that_day_is_over(review: str, midnight: int) -> None:
    day = date.fromisoformat(review)
    life = Living(Concern.DEBT)
    life.replies("referral.accepted", "service.started")
    life.reply("service.paused", review_on=day)

    assert life.case.next_due == datetime(day.year, day.month, day.day, midnight, tzinfo=UTC)


@pytest.mark.parametrize("step", [timedelta(hours=-1), timedelta(hours=1)])
def test_a_clock_that_steps_an_hour_ends_a_term_once(step: timedelta) -> None:
    life = Living(Concern.DEBT)
    due = end_of("2026-11-27")

    decisions = [life.tick(at) for at in (due, due + step, due)]

    assert [len(events_of(decision, ReferralOverdue)) for decision in decisions] == [1, 0, 0]


def test_a_reply_before_the_tick_wins() -> None:
    life = Living(Concern.DEBT)
    life.tick(end_of("2026-11-27"))
    life.reply("referral.accepted", at=end_of("2027-01-31"))

    assert life.last.state is ReferralState.ACCEPTED
    assert life.tick(end_of("2027-01-31")).state is None


def test_a_reply_after_the_tick_is_refused() -> None:
    life = Living(Concern.DEBT)
    first = life.last
    life.tick(end_of("2026-11-27"))
    life.tick(end_of("2026-12-01"))

    [rejected] = events_of(life.reply("referral.accepted", referral=first), ReplyRejected)

    assert (rejected.reason, rejected.state) == (RejectionReason.WRONG_STATE, ReferralState.EXPIRED)
    assert rejected.expected == (ReferralState.OFFERED,)


def test_a_partner_asks_back_three_times_and_no_more() -> None:
    life = Living(Concern.DEBT)
    for _ in range(3):
        life.replies("clarification.requested", "clarification.answered")

    decision = life.reply("clarification.requested")

    assert [refused.reason for refused in events_of(decision, ReplyRejected)] == [RejectionReason.TOO_OFTEN]
    assert life.last.state is ReferralState.OFFERED
