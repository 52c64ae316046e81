"""What one attempt may do to the others: nothing."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import pytest
from receiver import Receiver, receiving
from sending import Office, of_each
from structlog.testing import capture_logs
from toy.trial import eventually

from services.gateway.domain.webhooks import PAUSES, Answer
from services.gateway.webhooks.connections import Connections
from shared.mongo import UnavailableError


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


async def test_an_attempt_that_breaks_counts_as_a_failed_one_and_loses_no_other(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Connections.send

    async def break_for_some(
        self: Connections, url: str, headers: Mapping[str, str], body: str, now: datetime
    ) -> Answer:
        if '"bad"' in body:
            raise ZeroDivisionError
        return await send(self, url, headers, body, now)

    monkeypatch.setattr(Connections, "send", break_for_some)
    await office.webhook(receiver)
    office.gateway()

    async def is_noted() -> bool:
        return await office.failures("bad") == 1

    with capture_logs() as lines:
        await office.tell(("bad", 1), ("good", 1), ("good", 2), ("good", 3))
        await office.delivered(3)
        await eventually(is_noted)

    row = await office.row("bad")
    assert (row["last"]["failure"], row["next_at"]) == ("broken_off", office.clock() + PAUSES[0])
    assert of_each(receiver, ["good"]) == {"good": [1, 2, 3]}
    assert [line["event"] for line in lines] == ["webhook_attempt_broke"]


async def test_what_was_taken_is_not_sent_again_because_the_store_was_away_for_a_moment(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, fails = office.deliveries.note, [UnavailableError("AutoReconnect")]

    async def fail_once(*args: Any) -> None:
        if fails:
            raise fails.pop()
        await note(*args)

    monkeypatch.setattr(office.deliveries, "note", fail_once)
    await office.webhook(receiver)
    office.gateway()
    await office.tell(("r", 1), ("r", 2), ("s", 1))

    await office.delivered(3)

    assert of_each(receiver, ["r", "s"]) == {"r": [1, 2], "s": [1]}
