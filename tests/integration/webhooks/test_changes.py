"""What is changed while attempts are on their way counts, and what those say about the time before does not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from receiver import Got, Receiver, receiving, status, welcome
from sending import Office, of_each
from toy.trial import eventually

from services.gateway.domain.webhooks import GIVE_UP, PAUSES, State
from services.gateway.webhooks.connections import CONNECTIONS


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def refuse(_: Got) -> bytes:
    return status(503)


def behind(gate: asyncio.Event, answer: bytes) -> Callable[[Got], Awaitable[bytes]]:
    """An answer that is given when the gate is open."""

    async def wait(_: Got) -> bytes:
        await gate.wait()
        return answer

    return wait


async def came(receiver: Receiver, count: int) -> None:
    """Wait until so many requests did."""

    async def did() -> bool:
        return len(receiver.got) >= count

    await eventually(did, what=f"{count} requests")


async def failed(office: Office, referral: str, times: int) -> None:
    """Wait until so many attempts did, at least."""

    async def did() -> bool:
        return await office.failures(referral) >= times

    await eventually(did, what=f"{times} failures")


async def failing_for_days(office: Office, referral: str) -> None:
    """Whatever fails now is one attempt too many."""
    for number, pause in enumerate(PAUSES, start=1):
        await failed(office, referral, number)
        office.clock.pass_by(seconds=pause.total_seconds())
        if number < len(PAUSES):
            office.nudge()
    office.clock.pass_by(seconds=GIVE_UP.total_seconds())


async def test_an_old_address_that_is_gone_says_nothing_of_the_new_one(office: Office, receiver: Receiver) -> None:
    gate = asyncio.Event()
    receiver.answer = behind(gate, status(410))
    await office.webhook(receiver)
    office.gateway()
    await office.tell(("r", 1), ("r", 2))
    await came(receiver, 1)
    async with receiving() as other:
        await office.move(other)
        await office.looked()

        gate.set()
        await failed(office, "r", 1)
        office.clock.pass_by(seconds=PAUSES[0].total_seconds())
        office.nudge()
        await office.delivered(2)

        assert of_each(other, ["r"]) == {"r": [1, 2]}
        assert (await office.state()).state is State.ACTIVE


async def test_resume_counts_although_an_attempt_fails_that_was_on_its_way(office: Office, receiver: Receiver) -> None:
    receiver.answer = refuse
    await office.webhook(receiver)
    office.gateway()
    await office.tell(("bad", 1))
    await failing_for_days(office, "bad")
    gate = asyncio.Event()
    receiver.answer = behind(gate, status(503))
    office.nudge()
    await came(receiver, len(PAUSES) + 1)

    await office.resume()
    await office.looked()
    gate.set()
    await came(receiver, len(PAUSES) + 2)
    await failed(office, "bad", 1)

    row = await office.row("bad")
    assert (row["attempts"], row["failing_since"]) == (1, office.clock())
    assert not await office.is_disabled()


async def test_what_had_been_loaded_before_a_resume_is_tried_as_if_it_had_never_failed(
    office: Office, receiver: Receiver
) -> None:
    gate = asyncio.Event()

    async def refuse_some(got: Got) -> bytes:
        return await (refuse if got.event["subject"] == "bad" else behind(gate, status(204)))(got)

    receiver.answer = refuse_some
    await office.webhook(receiver)
    office.gateway()
    await office.tell(("bad", 1))
    await failing_for_days(office, "bad")
    await office.tell(*((f"a-{number:02}", 1) for number in range(CONNECTIONS)))
    await came(receiver, len(PAUSES) + CONNECTIONS)

    await office.resume()
    await office.looked()
    gate.set()
    await came(receiver, len(PAUSES) + CONNECTIONS + 1)
    await failed(office, "bad", 1)

    assert (await office.row("bad"))["failing_since"] == office.clock()
    assert not await office.is_disabled()


async def test_resume_rewrites_only_what_would_not_be_sent_at_once_anyway(office: Office, receiver: Receiver) -> None:
    await office.webhook(receiver)
    await office.pause()
    told_at = office.clock()
    await office.tell(("r", 1))
    office.clock.pass_by(hours=1)

    await office.resume()

    assert (await office.row("r"))["next_at"] == told_at


async def test_a_pause_in_the_midst_lets_what_is_on_its_way_end_and_no_more(office: Office, receiver: Receiver) -> None:
    gate = asyncio.Event()
    receiver.answer = behind(gate, status(204))
    await office.webhook(receiver)
    office.gateway()
    referrals = [f"r-{number:02}" for number in range(2 * CONNECTIONS)]
    await office.tell(*((referral, number) for number in (1, 2) for referral in referrals))
    await came(receiver, CONNECTIONS)

    await office.pause()
    await office.looked()
    gate.set()
    await office.delivered(CONNECTIONS)
    await office.looked()
    assert len(receiver.got) == CONNECTIONS

    receiver.answer = welcome
    await office.resume()
    await office.delivered(4 * CONNECTIONS)
    assert of_each(receiver, referrals) == {referral: [1, 2] for referral in referrals}
