"""What scheduling does about the events it reads; each finds its case by `case_id`."""

from datetime import datetime
from typing import Any, Final

from services.scheduling.domain.cases import ScheduledCase, book, cancel
from shared.contracts.routing import ReferralAccepted, ReferralWithdrawn
from shared.pipeline.decisions import Decision, Reaction, Received
from shared.pipeline.reading import Subscription
from shared.topics import REFERRALS

SUBSCRIPTIONS: Final = (Subscription(REFERRALS, "scheduling"),)


def on_referral_accepted(
    received: Received[ReferralAccepted], case: ScheduledCase | None, _now: datetime
) -> Decision[ScheduledCase]:
    """Book an appointment with the partner that accepted."""
    return book(received.event, _known(case), cause_id=received.cause.id)


def on_referral_withdrawn(
    received: Received[ReferralWithdrawn], case: ScheduledCase | None, _now: datetime
) -> Decision[ScheduledCase]:
    """Cancel the appointment of a referral that was taken back."""
    return cancel(received.event, _known(case))


def _known(case: ScheduledCase | None) -> ScheduledCase:
    assert case is not None, "the repository knows every case, so that each brings a calendar"
    return case


REACTIONS: Final[tuple[Reaction[Any, ScheduledCase], ...]] = (
    Reaction(ReferralAccepted, on_referral_accepted, key=lambda event: event.case_id),
    Reaction(ReferralWithdrawn, on_referral_withdrawn, key=lambda event: event.case_id),
)
