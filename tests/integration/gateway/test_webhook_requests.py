"""Requests about a webhook that come twice, at once, too often, or in an unlucky moment."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hooked import begun, came, refuse, waiting
from receiver import Got, Receiver, status, welcome
from running_gateway import Gateway, Partner, a_gateway
from standardwebhooks import Webhook as Verifier
from toy.trial import eventually

from services.gateway.domain.cursors import Positions
from services.gateway.domain.webhooks import MOST_ROTATIONS
from services.gateway.queues import QueueReader
from services.gateway.webhooks.deliveries import Deliveries
from shared.mongo import UnavailableError

LONG_AGO = {"from": "2026-01-01T00:00:00Z"}


async def rows_of(partner: Partner) -> list[Mapping[str, Any]]:
    """All that is kept of its deliveries."""
    found: list[Mapping[str, Any]] = (await partner.get("/webhook/deliveries", state="all")).json()["deliveries"]
    return found


async def minutes_ago(partner: Partner, minutes: int) -> None:
    """Its last replay was then."""
    at = datetime.now(UTC) - timedelta(minutes=minutes)
    webhooks = partner.gateway.app.state.service.database["webhooks"]
    await webhooks.update_one({"_id": partner.id}, {"$set": {"replayed_at": at}})


async def test_each_secret_that_was_told_today_signs_and_the_new_one_at_once(
    partner: Partner, receiver: Receiver
) -> None:
    gate = asyncio.Event()

    async def wait(_: Got) -> bytes:
        await gate.wait()
        return status(204)

    receiver.answer = wait
    secrets = [await begun(partner, receiver)]
    await partner.tell(*(partner.an_offer() for _ in range(2)))
    await came(receiver, 1)

    answers = await asyncio.gather(*(partner.call("POST", "/webhook/rotate-secret") for _ in range(2)))
    gate.set()
    await came(receiver, 2)

    secrets += [answer.json()["secret"] for answer in answers]
    assert len(set(secrets)) == 3
    for secret in secrets:
        Verifier(secret).verify(receiver.got[1].body, dict(receiver.got[1].headers))


async def test_a_secret_is_not_rotated_without_end(partner: Partner, receiver: Receiver) -> None:
    await begun(partner, receiver)

    answers = [await partner.call("POST", "/webhook/rotate-secret") for _ in range(MOST_ROTATIONS + 1)]

    assert [answer.status_code for answer in answers] == [200] * MOST_ROTATIONS + [429]
    assert 86_000 < int(answers[-1].headers["retry-after"]) <= 86_400


async def test_of_two_first_requests_at_once_the_later_one_takes_nothing_away(
    partner: Partner, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, ends, asked = asyncio.Event(), QueueReader.ends, asyncio.Event()

    async def slowly(self: QueueReader) -> Positions:
        asked.set()
        await gate.wait()
        return await ends(self)

    monkeypatch.setattr(QueueReader, "ends", slowly)
    second = asyncio.create_task(partner.call("PUT", "/webhook", {"url": receiver.url}))
    await asked.wait()
    monkeypatch.setattr(QueueReader, "ends", ends)
    await begun(partner, receiver)
    await partner.tell(partner.an_offer())
    await came(receiver, 1)

    gate.set()
    answer = await second

    assert (answer.status_code, "secret" in answer.json()) == (200, False)
    assert [row["event_id"] for row in await rows_of(partner)] == [receiver.got[0].id]


async def test_what_was_told_before_is_not_sent_when_the_queue_is_read_once_more(
    gateway: Gateway, partner: Partner, receiver: Receiver
) -> None:
    await partner.tell(*(partner.an_offer(f"old {number}") for number in range(10)))

    async def are_known() -> bool:
        return len((await partner.get("/referrals")).json()["referrals"]) == 10

    await eventually(are_known)
    await begun(partner, receiver)
    positions = gateway.app.state.service.database["positions"]
    [known] = [row async for row in positions.find()]
    await positions.delete_many({})

    async def are_read_again() -> bool:
        return known in [row async for row in positions.find()]

    async with a_gateway(gateway.backends, gateway.folder, gateway.hosts):
        await eventually(are_read_again)

    assert await rows_of(partner) == []


async def test_a_moment_that_no_clock_shows_is_refused_and_takes_no_turn(partner: Partner, receiver: Receiver) -> None:
    await begun(partner, receiver)

    for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        answer = await partner.call("POST", "/webhook/replay", {"from": moment})
        assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (422, ["/from"])

    assert (await partner.call("POST", "/webhook/replay", LONG_AGO)).status_code == 202


async def test_a_replay_that_the_store_did_not_take_may_be_asked_for_again(
    partner: Partner, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begun(partner, receiver)

    async def fail(*_: Any) -> int:
        raise UnavailableError("AutoReconnect")

    with monkeypatch.context() as broken:
        broken.setattr(Deliveries, "replay", fail)
        assert (await partner.call("POST", "/webhook/replay", LONG_AGO)).status_code == 503

    assert (await partner.call("POST", "/webhook/replay", LONG_AGO)).status_code == 202


async def test_a_replay_may_be_had_every_ten_minutes_also_while_paused(partner: Partner, receiver: Receiver) -> None:
    await begun(partner, receiver)
    await partner.tell(partner.an_offer())
    await came(receiver, 1)
    await waiting(partner, 0)
    await partner.call("POST", "/webhook/pause")

    first = await partner.call("POST", "/webhook/replay", LONG_AGO)
    await minutes_ago(partner, 7)
    too_early = await partner.call("POST", "/webhook/replay", LONG_AGO)
    await minutes_ago(partner, 10)
    second = await partner.call("POST", "/webhook/replay", LONG_AGO)

    assert [answer.status_code for answer in (first, too_early, second)] == [202, 429, 202]
    assert 150 < int(too_early.headers["retry-after"]) <= 180
    assert (first.json(), len(receiver.got)) == ({"events": 1}, 1)
    await partner.call("POST", "/webhook/resume")
    await came(receiver, 2)
    assert receiver.got[1].headers["webhook-replay"] == "true"


async def test_410_disables_and_a_url_makes_it_go_on_with_what_waited(partner: Partner, receiver: Receiver) -> None:
    async def gone(_: Got) -> bytes:
        return status(410)

    async def is_disabled() -> bool:
        return bool((await partner.get("/webhook")).json()["state"] == "disabled")

    receiver.answer = gone
    await begun(partner, receiver)
    await partner.tell(partner.an_offer("one"))
    await eventually(is_disabled)
    await partner.tell(partner.an_offer("two"))
    await waiting(partner, 2)

    assert (await partner.get("/webhook")).json()["reason"] == "gone"
    assert len(receiver.got) == 1

    receiver.answer = welcome
    answer = await partner.call("PUT", "/webhook", {"url": receiver.url})
    await came(receiver, 3)
    assert (answer.status_code, answer.json()["state"], answer.json()["reason"]) == (200, "active", None)


async def test_every_delivery_is_listed_and_a_cursor_that_is_not_ours_refused(
    partner: Partner, receiver: Receiver
) -> None:
    await begun(partner, receiver)
    await partner.tell(partner.an_offer("one"))
    await waiting(partner, 0)
    await came(receiver, 1)
    receiver.answer = refuse
    await partner.tell(partner.an_offer("two"))
    await came(receiver, 2)

    pages = [(await partner.get("/webhook/deliveries", state="all", limit=1)).json()]
    pages.append((await partner.get("/webhook/deliveries", state="all", limit=1, cursor=pages[0]["next"])).json())
    forged = await partner.get("/webhook/deliveries", state="all", cursor="bm90IG91cnM=")

    assert [page["deliveries"][0]["event_id"] for page in pages] == [got.id for got in reversed(receiver.got)]
    assert pages[1]["next"] is None
    assert (forged.status_code, [error["parameter"] for error in forged.json()["errors"]]) == (422, ["cursor"])


async def test_two_gateways_send_each_event_once_and_in_order(
    gateway: Gateway, partner: Partner, receiver: Receiver
) -> None:
    async with a_gateway(gateway.backends, gateway.folder, gateway.hosts) as another:
        await Partner(another, partner.id).is_seen()
        await begun(partner, receiver)
        for _ in range(5):
            await partner.tell(*(partner.an_offer(f"{number}") for number in range(8)))
        await came(receiver, 40)
        await waiting(partner, 0)

    told: dict[str, list[int]] = {}
    for got in receiver.got:
        told.setdefault(got.event["subject"], []).append(int(got.event["sequence"]))
    assert len(receiver.got) == len({got.id for got in receiver.got}) == 40
    assert all(numbers == sorted(numbers) and len(numbers) == 5 for numbers in told.values())
