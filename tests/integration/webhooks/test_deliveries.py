"""Sending: in order, again and again, to its end, and never at the cost of others."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from receiver import Got, Receiver, hang, receiving, status, welcome
from sending import Office, event_id, of_each
from standardwebhooks import Webhook as Verifier
from toy.trial import eventually

from services.gateway.domain.webhooks import BOTH_COUNT, GIVE_UP, PAUSES, Failure, State, new_seed, secret_of
from services.gateway.webhooks.connections import CONNECTIONS
from services.gateway.webhooks.deliveries import KEPT
from services.gateway.webhooks.store import LEASE


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def until(receiver: Receiver, count: int) -> None:
    """Wait until so many requests came."""

    async def came() -> bool:
        return len(receiver.got) >= count

    await eventually(came, what=f"{count} requests")


async def test_those_of_a_referral_come_in_order_and_different_ones_side_by_side(
    office: Office, receiver: Receiver
) -> None:
    async def with_pauses(got: Got) -> bytes:
        await asyncio.sleep(0.01 * (hash(got.id) % 3))
        return status(200)

    receiver.answer = with_pauses
    await office.webhook(receiver)
    office.gateway()
    referrals = [f"r-{number}" for number in range(30)]
    await office.tell(*((referral, number) for number in range(6) for referral in referrals))

    await office.delivered(180)

    assert of_each(receiver, referrals) == {referral: [0, 1, 2, 3, 4, 5] for referral in referrals}
    assert 1 < receiver.most_at_once <= CONNECTIONS


async def test_an_event_is_sent_whole_and_its_signature_counts(office: Office, receiver: Receiver) -> None:
    secret = await office.webhook(receiver)
    office.gateway()
    await office.tell(("r", 1))
    await office.delivered(1)

    [got] = receiver.got
    event = Verifier(secret).verify(got.body, dict(got.headers))

    assert got.headers["content-type"].startswith("application/cloudevents+json")
    assert (got.id, event["id"]) == (event_id("r", 1), event_id("r", 1))
    assert (event["subject"], event["data"]) == ("r", {"number": 1})
    assert "webhook-replay" not in got.headers


async def test_while_a_secret_is_changed_both_count_and_later_the_new_one(office: Office, receiver: Receiver) -> None:
    old, seed = await office.webhook(receiver), new_seed()
    await office.webhooks.rotate("awo", seed, office.clock())
    new = secret_of(b"of the tests", "awo", seed)
    office.gateway()
    await office.tell(("r", 1))
    await office.delivered(1)
    office.clock.pass_by(seconds=BOTH_COUNT.total_seconds())
    await office.tell(("r", 2))
    await office.delivered(2)

    both, later = (got.headers for got in receiver.got)
    assert len(both["webhook-signature"].split()) == 2
    for secret in (old, new):
        Verifier(secret).verify(receiver.got[0].body, dict(both))
    assert len(later["webhook-signature"].split()) == 1


async def test_what_fails_is_tried_again_later_and_later_and_holds_up_its_own_referral_only(
    office: Office, receiver: Receiver
) -> None:
    async def refuse_one(got: Got) -> bytes:
        return status(500 if got.event["subject"] == "bad" else 200)

    receiver.answer = refuse_one
    await office.webhook(receiver)
    office.gateway()
    await office.tell(("bad", 1), ("bad", 2), ("good", 1), ("good", 2))
    await office.delivered(2)
    for number, pause in enumerate((*PAUSES, PAUSES[-1]), start=1):
        await eventually(lambda number=number: _failed(office, number))
        row = await office.row("bad")
        assert row["next_at"] == office.clock() + pause
        assert row["last"]["status"] == 500
        office.clock.pass_by(seconds=pause.total_seconds())
        await office.tell(("good", 2 + number))
        await office.delivered(2 + number)

    receiver.answer = welcome
    office.clock.pass_by(hours=1)
    office.nudge()
    await office.delivered(2 + len(PAUSES) + 1 + 2)

    numbers = of_each(receiver, ["bad", "good"])
    assert numbers["good"] == [*range(1, 2 + len(PAUSES) + 2)]
    assert set(numbers["bad"][:-1]) == {1}
    assert numbers["bad"][-1] == 2
    assert (await office.state()).state is State.ACTIVE


async def _failed(office: Office, times: int) -> bool:
    return await office.failures("bad") == times


async def test_a_receiver_s_own_pause_counts(office: Office, receiver: Receiver) -> None:
    async def later(_: Got) -> bytes:
        return status(429, "Retry-After: 7200")

    receiver.answer = later
    await office.webhook(receiver)
    office.gateway()
    await office.tell(("bad", 1))

    await eventually(lambda: _failed(office, 1))

    assert (await office.row("bad"))["next_at"] == office.clock() + timedelta(hours=2)


async def test_a_webhook_that_fails_for_days_is_disabled_and_loses_nothing(office: Office, receiver: Receiver) -> None:
    async def refuse(_: Got) -> bytes:
        return status(503)

    receiver.answer = refuse
    await office.webhook(receiver)
    office.gateway()
    await office.tell(("bad", 1))
    await eventually(lambda: _failed(office, 1))
    office.clock.pass_by(seconds=GIVE_UP.total_seconds())
    for number in range(2, len(PAUSES)):
        office.nudge()
        await eventually(lambda number=number: _failed(office, number))
        assert not await office.is_disabled()
        office.clock.pass_by(hours=1)
    office.nudge()
    await eventually(office.is_disabled)
    assert (await office.state()).reason is Failure.REFUSED
    count = len(receiver.got)

    await office.tell(("bad", 2), ("new", 1))
    receiver.answer = welcome
    await office.resume()

    await office.delivered(3)
    assert len(receiver.got) == count + 3
    assert of_each(receiver, ["bad"])["bad"][-2:] == [1, 2]


async def test_410_ends_it_at_once(office: Office, receiver: Receiver) -> None:
    async def gone(_: Got) -> bytes:
        return status(410)

    receiver.answer = gone
    await office.webhook(receiver)
    office.gateway()
    await office.tell(("r", 1))

    await eventually(office.is_disabled)

    assert (await office.state()).reason is Failure.GONE
    office.clock.pass_by(days=1)
    await office.tell(("r", 2), ("s", 1))
    await office.looked()
    assert len(receiver.got) == 1


async def test_a_hanging_receiver_holds_up_nobody_else(office: Office, receiver: Receiver) -> None:
    async with receiving(hang) as hanging:
        await office.webhook(receiver, "awo")
        await office.webhook(hanging, "vhs")
        office.gateway("awo", "vhs")
        events = [(f"r-{number}", 1) for number in range(3 * CONNECTIONS)]
        await office.tell(*events, partner="vhs")
        await until(hanging, CONNECTIONS)

        await office.tell(*events)

        await office.delivered(len(events))
        assert hanging.most_at_once == CONNECTIONS


async def test_referrals_that_hang_hold_up_the_others_no_more_than_their_connections(
    office: Office, receiver: Receiver
) -> None:
    async def hang_for_some(got: Got) -> bytes:
        return await (hang if got.event["subject"].startswith("slow") else welcome)(got)

    receiver.answer = hang_for_some
    await office.webhook(receiver)
    office.gateway()
    await office.tell(*((f"slow-{number}", 1) for number in range(CONNECTIONS - 1)))
    await until(receiver, CONNECTIONS - 1)

    await office.tell(*((f"fast-{number}", 1) for number in range(100)))

    await office.delivered(100)


async def test_a_pause_stops_it_and_what_came_meanwhile_follows(office: Office, receiver: Receiver) -> None:
    await office.webhook(receiver)
    await office.pause()
    office.gateway()
    await office.tell(("r", 1), ("r", 2))
    await office.looked()
    assert receiver.got == []

    await office.resume()

    await office.delivered(2)
    assert of_each(receiver, ["r"]) == {"r": [1, 2]}


async def test_one_gateway_sends_and_another_takes_over_when_it_ends(office: Office, receiver: Receiver) -> None:
    await office.webhook(receiver)
    office.gateway()
    await office.tell(("r", 1))
    await office.delivered(1)

    other = await office.webhooks.hold("awo", "another", office.clock())
    await office.stop()

    assert other is None
    assert await office.webhooks.hold("awo", "another", office.clock()) is not None
    assert await office.webhooks.hold("awo", "a third", office.clock()) is None
    office.clock.pass_by(seconds=LEASE.total_seconds())
    assert await office.webhooks.hold("awo", "a third", office.clock()) is not None


async def test_what_was_cut_off_is_sent_again_in_its_order(office: Office, receiver: Receiver) -> None:
    receiver.answer = hang
    await office.webhook(receiver)
    office.gateway()
    await office.tell(("r", 1), ("r", 2))
    await until(receiver, 1)
    await office.stop()

    receiver.answer = welcome
    office.gateway()

    await office.delivered(2)
    assert of_each(receiver, ["r"]) == {"r": [1, 1, 2]}


async def test_late_duplicates_of_the_queue_are_sent_once(office: Office, receiver: Receiver) -> None:
    await office.webhook(receiver)
    office.gateway()
    await office.tell(("r", 1), ("r", 2))
    await office.tell(("r", 1), ("r", 3))

    await office.delivered(3)

    assert of_each(receiver, ["r"]) == {"r": [1, 2, 3]}


async def test_a_replay_is_marked_and_in_order(office: Office, receiver: Receiver) -> None:
    await office.webhook(receiver)
    office.gateway()
    await office.tell(("r", 1), ("s", 1))
    office.clock.pass_by(hours=1)
    began = office.clock()
    await office.tell(("r", 2), ("r", 3))
    await office.delivered(4)
    receiver.got.clear()

    assert await office.deliveries.replay(await office.state(), began, office.clock()) == 2
    office.nudge()
    await office.delivered(4)

    assert of_each(receiver, ["r", "s"]) == {"r": [2, 3], "s": []}
    assert [got.headers["webhook-replay"] for got in receiver.got] == ["true", "true"]


async def test_who_has_no_webhook_has_no_deliveries(office: Office, receiver: Receiver) -> None:
    await office.tell(("r", 1))
    assert await office.rows.count_documents({}) == 0

    await office.webhook(receiver)
    await office.tell(("r", 2))

    assert (await office.row("r", 2))["expires_at"] == office.clock() + KEPT
