"""A partner and the receiver its events are sent to."""

from receiver import Got, Receiver, status
from running_gateway import Partner
from toy.trial import eventually


async def begun(partner: Partner, receiver: Receiver) -> str:
    """Have its events sent to a receiver; the secret."""
    answer = await partner.call("PUT", "/webhook", {"url": receiver.url})
    assert answer.status_code == 201
    secret: str = answer.json()["secret"]
    return secret


async def came(receiver: Receiver, count: int) -> None:
    """Wait until so many requests did."""

    async def did() -> bool:
        return len(receiver.got) >= count

    await eventually(did, what=f"{count} requests")


async def waiting(partner: Partner, count: int) -> None:
    """Wait until so many events are to be sent."""

    async def are() -> bool:
        return bool((await partner.get("/webhook")).json()["waiting"] == count)

    await eventually(are, what=f"{count} waiting")


async def refuse(_: Got) -> bytes:
    """Nothing is taken."""
    return status(503)
