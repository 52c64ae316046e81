"""What notify publishes on `notify.messages.v1`: that a message was settled, never its text or address."""

from shared.contracts.base import CaseId, Event, Language, MessageId, PersonId, ReferralId
from shared.contracts.codes import Channel, MessageOutcome

TOPIC = "notify.messages.v1"


class MessageSettled(Event):
    """A message reached an end; `unknown` means a crash or a silent server hides whether it went out."""

    case_id: CaseId
    referral_id: ReferralId
    message_id: MessageId
    person_id: PersonId
    outcome: MessageOutcome
    channel: Channel | None = None
    language: Language | None = None
