"""How a message moves: once per cause, marked before it goes out, never sent again when nobody can tell."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notify_builders import CAUSE, ME, NOW, a_lease, an_appointment, cancelled, pending, sending, the_message

from services.notify.domain import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MessageState,
    NotifiedCase,
    adopt,
    conclude,
    lose_sight,
    record,
    revoke,
    take_up,
)
from shared.contracts.base import derived_id
from shared.contracts.codes import Channel, MessageOutcome
from shared.contracts.notify import MessageSettled
from shared.pipeline.decisions import Decision

SOMEBODY_ELSE = derived_id("somebody else")


def concluded(case: NotifiedCase, outcome: MessageOutcome | None, *, owner: str = ME) -> Decision[NotifiedCase]:
    """What its owner notes about the only message."""
    return conclude(case, NOW, message_id=the_message(case).id, owner=owner, outcome=outcome, language="ar")


def test_a_booked_appointment_is_told_at_once() -> None:
    message = the_message(pending())

    assert message.state is MessageState.PENDING
    assert message.next_at == NOW


def test_a_repeated_booking_is_told_once() -> None:
    decision = record(an_appointment(), pending(), cause=CAUSE, now=NOW)

    assert decision.state is None


def test_a_second_appointment_of_the_case_is_a_second_message() -> None:
    case = record(an_appointment("second"), pending(), cause=CAUSE, now=NOW).state

    assert case
    assert len({message.id for message in case.messages}) == 2


def test_a_cancelled_appointment_is_not_told() -> None:
    case = revoke(cancelled(), pending()).state

    assert the_message(case).state is MessageState.CANCELLED
    assert case
    assert case.next_at is None


def test_another_appointment_s_cancellation_changes_nothing() -> None:
    assert revoke(cancelled("another"), pending()).state is None


@pytest.mark.parametrize("outcome", MessageOutcome)
def test_what_is_settled_stays_when_the_appointment_is_cancelled(outcome: MessageOutcome) -> None:
    case = concluded(sending(), outcome).state

    assert revoke(cancelled(), case).state is None


def test_a_cancellation_while_it_goes_out_shows_only_if_it_did_not() -> None:
    revoked = revoke(cancelled(), sending()).state
    assert revoked
    assert the_message(revoked).state is MessageState.SENDING

    assert the_message(concluded(revoked, MessageOutcome.SENT).state).state is MessageState.SENT
    assert the_message(concluded(revoked, None).state).state is MessageState.CANCELLED


def test_a_message_is_marked_with_its_owner_before_it_goes_out() -> None:
    case = pending()

    decision = take_up(case, NOW, message_id=the_message(case).id, lease=a_lease())

    assert the_message(decision.state).state is MessageState.SENDING
    assert decision.state
    assert decision.state.is_sending(the_message(case).id, ME)
    assert decision.events == ()


def test_nobody_takes_up_what_another_is_sending() -> None:
    case = sending(owner=SOMEBODY_ELSE)

    assert take_up(case, NOW, message_id=the_message(case).id, lease=a_lease()).state is None


@pytest.mark.parametrize("seconds", [0, 60])
def test_an_owner_that_asks_again_keeps_what_it_took_up(seconds: int) -> None:
    """It did not learn whether its first asking was stored; its lease may have run out meanwhile."""
    case = sending(owner=ME)

    asked_at = NOW + timedelta(seconds=seconds)
    decision = take_up(case, asked_at, message_id=the_message(case).id, lease=a_lease(owner=ME))

    assert decision == Decision()
    assert case.is_sending(the_message(case).id, ME)


def test_what_a_crash_left_in_sending_ends_as_unknown() -> None:
    case = sending(owner=SOMEBODY_ELSE)

    decision = take_up(case, NOW + timedelta(seconds=60), message_id=the_message(case).id, lease=a_lease(seconds=120))

    assert the_message(decision.state).state is MessageState.UNKNOWN
    [settled] = decision.events
    assert isinstance(settled, MessageSettled)
    assert settled.outcome is MessageOutcome.UNKNOWN


def test_an_owner_whose_lease_was_ended_changes_nothing() -> None:
    case = sending(owner=SOMEBODY_ELSE)
    given_up = take_up(case, NOW + timedelta(hours=1), message_id=the_message(case).id, lease=a_lease()).state
    assert given_up

    assert concluded(given_up, MessageOutcome.SENT, owner=SOMEBODY_ELSE).state is None


@pytest.mark.parametrize(
    ("outcome", "channel"),
    [
        (MessageOutcome.SENT, Channel.EMAIL),
        (MessageOutcome.FAILED, Channel.EMAIL),
        (MessageOutcome.UNKNOWN, Channel.EMAIL),
        (MessageOutcome.NO_CHANNEL, None),
    ],
)
def test_an_outcome_is_told_once(outcome: MessageOutcome, channel: Channel | None) -> None:
    decision = concluded(sending(), outcome)

    [settled] = decision.events
    assert isinstance(settled, MessageSettled)
    assert (settled.outcome, settled.channel, settled.language) == (outcome, channel, "ar")
    assert decision.state
    assert decision.state.next_at is None
    assert concluded(decision.state, outcome).events == ()


def test_what_did_not_go_out_waits_longer_each_time() -> None:
    case, pauses = pending(), []
    now = NOW
    for _ in range(9):
        message = the_message(case)
        taken = take_up(case, now, message_id=message.id, lease=a_lease()).state
        assert taken
        put_off = conclude(taken, now, message_id=message.id, owner=ME, outcome=None)
        assert put_off.events == ()
        assert put_off.state
        case = put_off.state
        due = the_message(case).due_at
        pauses.append(due - now)
        case = case.replacing(the_message(case).model_copy(update={"due_at": now}))

    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE


def test_a_message_that_is_put_off_is_not_due_yet() -> None:
    case = concluded(sending(), None).state
    assert case

    assert take_up(case, NOW, message_id=the_message(case).id, lease=a_lease()).state is None


def test_nobody_is_told_after_the_appointment_has_begun() -> None:
    case = pending(starts_at=NOW)

    decision = take_up(case, NOW, message_id=the_message(case).id, lease=a_lease())

    assert the_message(decision.state).state is MessageState.FAILED


Step = Callable[[NotifiedCase, int], Decision[NotifiedCase]]
STEPS: dict[str, Step] = {
    "record": lambda case, at: record(an_appointment(), case, cause=CAUSE, now=NOW + timedelta(seconds=at)),
    "revoke": lambda case, _: revoke(cancelled(), case),
    "take up": lambda case, at: take_up(
        case,
        NOW + timedelta(seconds=at),
        message_id=the_message(case).id,
        lease=a_lease(owner=derived_id("owner", str(at)), seconds=at + 10),
    ),
    "sent": lambda case, at: _by_owner(case, at, MessageOutcome.SENT),
    "put off": lambda case, at: _by_owner(case, at, None),
}


def _by_owner(case: NotifiedCase, at: int, outcome: MessageOutcome | None) -> Decision[NotifiedCase]:
    lease = the_message(case).lease
    owner = lease.owner if lease else ME
    return conclude(case, NOW + timedelta(seconds=at), message_id=the_message(case).id, owner=owner, outcome=outcome)


@given(steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(1, 400)), max_size=30))
def test_whatever_happens_a_message_is_settled_at_most_once(steps: list[tuple[str, int]]) -> None:
    case, at, settled = pending(), 0, 0
    for name, seconds in steps:
        at += seconds
        decision = STEPS[name](case, at)
        settled += len(decision.events)
        case = decision.state or case
        message = the_message(case)
        assert (message.next_at is None) == (message.state not in (MessageState.PENDING, MessageState.SENDING))
        assert (message.lease is not None) == (message.state is MessageState.SENDING)

    assert settled == (the_message(case).state.value in {outcome.value for outcome in MessageOutcome})


def settled(outcome: MessageOutcome) -> MessageSettled:
    """What was told of the only message."""
    [event] = concluded(sending(), outcome).events
    assert isinstance(event, MessageSettled)
    return event


def test_an_outcome_told_before_a_restore_ends_the_message() -> None:
    case = adopt(settled(MessageOutcome.SENT), sending()).state

    assert case
    assert (the_message(case).state, the_message(case).language, case.next_at) == (MessageState.SENT, "ar", None)


def test_an_outcome_may_be_taken_over_before_its_booking_is_read_again() -> None:
    known = adopt(settled(MessageOutcome.NO_CHANNEL), None).state
    case = record(an_appointment(), known, cause=CAUSE, now=NOW).state

    assert case
    assert the_message(case).state is MessageState.NO_CHANNEL
    assert (case.next_at, case.told) == (None, ())


@pytest.mark.parametrize("case", [pending(), sending()], ids=["pending", "sending"])
def test_a_message_that_may_have_gone_out_before_a_restore_ends_as_unknown(case: NotifiedCase) -> None:
    lost = lose_sight(case, NOW, message_id=the_message(case).id)

    assert [event.outcome for event in lost.events if isinstance(event, MessageSettled)] == [MessageOutcome.UNKNOWN]
    assert lose_sight(lost.state, NOW, message_id=the_message(case).id) == Decision()
