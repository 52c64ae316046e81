"""What notify does about the events it reads; each finds its case by `case_id`."""

import re
from datetime import datetime
from typing import Any, Final

from services.notify.domain import NotifiedCase, record, revoke
from shared.contracts.scheduling import TOPIC, AppointmentBooked, AppointmentCancelled
from shared.pipeline.decisions import Decision, Reaction, Received
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


REACTIONS: Final[tuple[Reaction[Any, NotifiedCase], ...]] = (
    Reaction(AppointmentBooked, on_appointment_booked, key=lambda event: event.case_id),
    Reaction(AppointmentCancelled, on_appointment_cancelled, key=lambda event: event.case_id),
)
