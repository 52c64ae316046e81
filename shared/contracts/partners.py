"""What a partner writes on its own `partner.<id>.replies.v1`; the topic says who it is."""

from shared.contracts.base import Event, ReferralId
from shared.contracts.codes import DeclineReason

TOPIC = "partner.{partner_id}.replies.v1"


class ReplyAccepted(Event):
    """The partner takes the referral."""

    referral_id: ReferralId


class ReplyDeclined(Event):
    """The partner does not take the referral."""

    referral_id: ReferralId
    reason: DeclineReason
