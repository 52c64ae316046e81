"""What notify does about the events it reads; each finds its case by `case_id`."""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Any, Final

from services.notify.domain import NotifiedCase, adopt, lose_sight, record, revoke
from services.notify.repository import NotifiedCases
from shared.contracts.notify import MessageSettled
from shared.contracts.scheduling import TOPIC, AppointmentBooked, AppointmentCancelled
from shared.pipeline.decisions import Command, Decision, Reaction, Received
from shared.pipeline.reading import Subscription

SUBSCRIPTIONS: Final = (Subscription(f"^{re.escape(TOPIC)}$", "notify"),)


def on_appointment_booked(
    received: Received[AppointmentBooked], case: NotifiedCase | None, now: datetime
) -> Decision[NotifiedCase]:
    """Have the person told when and where to come."""
    return record(received.event, case, cause=received.cause, now=now)


def on_appointment_cancelled(
    received: Received[AppointmentCancelled], case: NotifiedCase | None, _now: datetime
) -> Decision[NotifiedCase]:
    """Stop what has not gone out yet."""
    return revoke(received.event, case)


def on_own_outcome(
    received: Received[MessageSettled], case: NotifiedCase | None, _now: datetime
) -> Decision[NotifiedCase]:
    """Never send again what was told to be settled before a restore."""
    return adopt(received.event, case)


async def lost_from_sight(cases: NotifiedCases) -> AsyncIterator[Command[NotifiedCase]]:
    """After a restore nobody knows whether an open message went out, so it is not sent."""
    async for case in cases.open():
        for message in case.messages:
            if message.next_at:
                yield Command(case.id, message.cause, partial(lose_sight, message_id=message.id))


REACTIONS: Final[tuple[Reaction[Any, NotifiedCase], ...]] = (
    Reaction(AppointmentBooked, on_appointment_booked, key=lambda event: event.case_id),
    Reaction(AppointmentCancelled, on_appointment_cancelled, key=lambda event: event.case_id),
)

ADOPTIONS: Final[tuple[Reaction[Any, NotifiedCase], ...]] = (
    Reaction(MessageSettled, on_own_outcome, key=lambda event: event.case_id),
)
"""What `wegweiser rewind` takes over."""
