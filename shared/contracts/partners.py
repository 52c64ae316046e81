"""What a partner writes on its own `partner.<id>.replies.v1`; the topic says who it is."""

from typing import Self

from pydantic import model_validator

from shared.contracts.base import Day, Event, PartnerId, Places, ReferralId, Weeks
from shared.contracts.codes import (
    CapacityStatus,
    ClarificationTopic,
    Concern,
    DeclineReason,
    FailureReason,
    HandOnReason,
    PauseReason,
    ServiceOutcome,
)

TOPIC = "partner.{partner_id}.replies.v1"


class Reply(Event):
    """What every reply about a referral names."""

    referral_id: ReferralId


class ReplyAccepted(Reply):
    """The partner takes the referral."""


class ReplyDeclined(Reply):
    """The partner does not take the referral."""

    reason: DeclineReason


class ReplyClarificationRequested(Reply):
    """The partner asks back; its time to respond stands still until the answer."""

    topic: ClarificationTopic


class ReplyClarificationAnswered(Reply):
    """What the partner asked was answered."""


class ReplyStarted(Reply):
    """The partner began to serve the person."""


class ReplyPaused(Reply):
    """The service rests; `review_on` is the day to look at it again."""

    reason: PauseReason
    review_on: Day


class ReplyResumed(Reply):
    """The service goes on."""


class ReplyHandedOn(Reply):
    """The partner gives the referral to another one, or, without `to`, back to the agreement's rules."""

    reason: HandOnReason
    to: PartnerId | None = None


class ReplyCompleted(Reply):
    """The service came to its end."""

    outcome: ServiceOutcome


class ReplyFailed(Reply):
    """The service could not be given to its end."""

    reason: FailureReason


class ReplyReopened(Reply):
    """A completed or failed service goes on."""


class CapacityReported(Event):
    """How much of one field of work the partner can take from now on, until the end of `valid_until`.

    `limited` names the places left, `waiting_list` the weeks to wait. Without `valid_until` the agreement's own term
    for such reports counts.
    """

    partner_id: PartnerId
    code: Concern
    status: CapacityStatus
    places: Places | None = None
    weeks: Weeks | None = None
    valid_until: Day | None = None

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if (self.places is not None) is not (self.status is CapacityStatus.LIMITED):
            raise ValueError("places: goes with `limited` and with nothing else")
        if (self.weeks is not None) is not (self.status is CapacityStatus.WAITING_LIST):
            raise ValueError("weeks: goes with `waiting_list` and with nothing else")
        return self
