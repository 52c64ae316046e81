"""What scheduling does about the events it reads; each finds its case by `case_id`."""

from datetime import datetime
from typing import Any, Final

from services.scheduling.domain.cases import ScheduledCase, adopt, adopt_cancelled, book, give_back
from shared.contracts.routing import (
    PartnerEvent,
    ReferralAccepted,
    ReferralCancelled,
    ReferralCompleted,
    ReferralFailed,
    ReferralHandedOn,
    ReferralWithdrawn,
)
from shared.contracts.scheduling import AppointmentBooked, AppointmentCancelled
from shared.pipeline.decisions import Decision, Reaction, Received
from shared.pipeline.reading import Subscription
from shared.topics import REFERRALS

SUBSCRIPTIONS: Final = (Subscription(REFERRALS, "scheduling"),)


def on_referral_accepted(
    received: Received[ReferralAccepted], case: ScheduledCase | None, _now: datetime
) -> Decision[ScheduledCase]:
    """Book an appointment with the partner that accepted."""
    return book(received.event, _known(case), cause_id=received.cause.id)


def on_referral_ended(
    received: Received[PartnerEvent], case: ScheduledCase | None, now: datetime
) -> Decision[ScheduledCase]:
    """Cancel the appointment that is of no use any more."""
    return give_back(received.event, _known(case), now=now)


def on_own_booking(
    received: Received[AppointmentBooked], case: ScheduledCase | None, _now: datetime
) -> Decision[ScheduledCase]:
    """Let an appointment stand that was told before a restore."""
    return adopt(received.event, _known(case))


def on_own_cancellation(
    received: Received[AppointmentCancelled], case: ScheduledCase | None, _now: datetime
) -> Decision[ScheduledCase]:
    """Give back the slot of an appointment that was told to be cancelled before a restore."""
    return adopt_cancelled(received.event, _known(case))


def _known(case: ScheduledCase | None) -> ScheduledCase:
    assert case is not None, "the repository knows every case, so that each brings a calendar"
    return case


REACTIONS: Final[tuple[Reaction[Any, ScheduledCase], ...]] = (
    Reaction(ReferralAccepted, on_referral_accepted, key=lambda event: event.case_id),
    *(
        Reaction(ended, on_referral_ended, key=lambda event: event.case_id)
        for ended in (ReferralWithdrawn, ReferralCancelled, ReferralHandedOn, ReferralCompleted, ReferralFailed)
    ),
)

ADOPTIONS: Final[tuple[Reaction[Any, ScheduledCase], ...]] = (
    Reaction(AppointmentBooked, on_own_booking, key=lambda event: event.case_id),
    Reaction(AppointmentCancelled, on_own_cancellation, key=lambda event: event.case_id),
)
"""What `wegweiser rewind` takes over: the slot that was told is the one that counts."""
