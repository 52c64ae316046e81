"""A sender that runs is led elsewhere: by a redirect, by a name of ours, by a name that changes its mind."""

from collections.abc import AsyncIterator, Sequence

import pytest
from receiver import Got, Receiver, receiving, status
from sending import Office
from toy.trial import eventually

from services.gateway.domain.webhooks import PAUSES, State, new_seed
from services.gateway.webhooks import sender
from services.gateway.webhooks.connections import Resolver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as running:
        yield running


def lead_to(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """Have every name lead to one address after another, and then to the last."""
    left = list(answers)

    class Told(Resolver):
        async def __call__(self, host: str, port: int) -> list[str]:
            return [left.pop(0) if len(left) > 1 else left[0]]

    monkeypatch.setattr(sender, "Resolver", Told)


async def stands_as_documented(office: Office, failure: str, code: int | None = None) -> None:
    """The event is tried again after the first pause, and the webhook goes on."""

    async def is_noted() -> bool:
        return await office.failures("r") == 1

    await eventually(is_noted)
    row = await office.row("r")
    assert (row["last"]["failure"], row["last"]["status"]) == (failure, code)
    assert row["next_at"] == office.clock() + PAUSES[0]
    assert (await office.state()).state is State.ACTIVE


async def test_a_redirect_is_a_failure_and_leads_nowhere(office: Office, receiver: Receiver) -> None:
    async with receiving() as other:

        async def elsewhere(_: Got) -> bytes:
            return status(308, f"Location: {other.url}")

        receiver.answer = elsewhere
        await office.webhook(receiver)
        office.gateway()
        await office.tell(("r", 1))

        await stands_as_documented(office, "redirect", 308)
        assert other.connections == 0


@pytest.mark.parametrize("addresses", [["169.254.169.254"], ["93.184.216.34", "127.0.0.1"]])
async def test_a_name_that_leads_to_an_address_of_ours_now_is_not_connected_to(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, addresses: Sequence[str]
) -> None:
    lead_to(monkeypatch, *addresses)
    senders = office.gateway()
    url = f"https://receiver.example:{receiver.port}/in"
    if len(addresses) > 1:  # when it is set, it leads to where it may
        await office.looked()
        assert await senders.checked("awo", url) == url
    await office.webhooks.put("awo", url, new_seed(), {}, office.clock(), admission="")
    await office.tell(("r", 1))

    await stands_as_documented(office, "no_public_address")
    assert receiver.connections == 0
