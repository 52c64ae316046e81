"""A case as notify knows it: its messages, and how each moves.

    pending → sending → sent, failed, unknown, no_channel
    pending → cancelled; sending → pending, where nothing went out for sure

A message is marked `sending` before anything goes out. What a crash leaves in that state ends as `unknown`: it may have
gone out, so it is not sent again.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.contracts.base import (
    AppointmentId,
    Id,
    Language,
    MessageId,
    Minutes,
    PersonId,
    PlaceId,
    ReferralId,
    derived_id,
)
from shared.contracts.codes import AppointmentMode, Channel, MessageOutcome
from shared.contracts.notify import MessageSettled
from shared.contracts.scheduling import AppointmentBooked, AppointmentCancelled
from shared.envelope import Cause
from shared.pipeline.decisions import Aggregate, Decision, Kept

FIRST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(minutes=5)


class Purpose(StrEnum):
    """What a message is for; also the name of its template."""

    APPOINTMENT_BOOKED = "appointment_booked"


class MessageState(StrEnum):
    """Where a message stands."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NO_CHANNEL = "no_channel"
    CANCELLED = "cancelled"


class Lease(Kept):
    """Who is sending a message, and until when this is believed (UTC)."""

    owner: Id
    until: datetime


class Message(Kept):
    """One message to one person about one cause, in codes; name, address and text exist only while it is sent.

    `tries` counts how often it was put off, `revoked` says that its appointment was cancelled while it was going out.
    """

    id: MessageId
    purpose: Purpose
    state: MessageState = MessageState.PENDING
    due_at: datetime
    lease: Lease | None = None
    tries: int = 0
    revoked: bool = False
    cause: Cause
    referral_id: ReferralId
    appointment_id: AppointmentId
    person_id: PersonId
    starts_at: datetime
    minutes: Minutes
    place: PlaceId
    mode: AppointmentMode
    languages: tuple[Language, ...]
    language: Language | None = None

    @property
    def next_at(self) -> datetime | None:
        """When something is to be done: send what is pending, give up what was caught in `sending`."""
        if self.state is MessageState.PENDING:
            return self.due_at
        return self.lease.until if self.lease else None


class NotifiedCase(Aggregate):
    """The messages about one case.

    `told` are the outcomes, taken over after a restore, of messages whose booking is not read again yet.
    """

    messages: tuple[Message, ...] = ()
    told: tuple[MessageSettled, ...] = ()

    @property
    def next_at(self) -> datetime | None:
        """When the first of its messages needs something; None where all are settled."""
        return min((message.next_at for message in self.messages if message.next_at), default=None)

    def due(self, now: datetime) -> Sequence[Message]:
        """The messages that need something now."""
        return [message for message in self.messages if message.next_at and message.next_at <= now]

    def message(self, id_: MessageId) -> Message | None:
        """The message of that id."""
        return next((message for message in self.messages if message.id == id_), None)

    def is_sending(self, id_: MessageId, owner: Id) -> bool:
        """Whether this owner has taken the message up."""
        message = self.message(id_)
        return message is not None and message.lease is not None and message.lease.owner == owner

    def replacing(self, *changed: Message) -> "NotifiedCase":
        """The case with these messages in the place of the old ones."""
        by_id = {message.id: message for message in changed}
        return self.model_copy(update={"messages": tuple(by_id.get(old.id, old) for old in self.messages)})


def record(
    booked: AppointmentBooked, case: NotifiedCase | None, *, cause: Cause, now: datetime
) -> Decision[NotifiedCase]:
    """Have the person told of the appointment: once per appointment, person and purpose, whatever is repeated."""
    purpose = Purpose.APPOINTMENT_BOOKED
    id_ = derived_id(booked.appointment_id, booked.person_id, purpose)
    known = case or NotifiedCase(id=booked.case_id)
    if known.message(id_):
        return Decision()
    message = Message(
        id=id_,
        purpose=purpose,
        due_at=now,
        cause=cause,
        referral_id=booked.referral_id,
        appointment_id=booked.appointment_id,
        person_id=booked.person_id,
        starts_at=booked.starts_at,
        minutes=booked.minutes,
        place=booked.place,
        mode=booked.mode,
        languages=booked.languages,
    )
    told = {settled.message_id: settled for settled in known.told}
    if settled := told.pop(id_, None):
        message = _ended(message, settled)
    return Decision(known.model_copy(update={"messages": (*known.messages, message), "told": tuple(told.values())}))


def adopt(settled: MessageSettled, case: NotifiedCase | None) -> Decision[NotifiedCase]:
    """What was told of a message is so, also where the booking it is about is only read again later."""
    known = case or NotifiedCase(id=settled.case_id)
    message = known.message(settled.message_id)
    if message is None:
        return Decision(known.model_copy(update={"told": (*known.told, settled)}))
    return Decision(known.replacing(_ended(message, settled)))


def lose_sight(case: NotifiedCase | None, _now: datetime, *, message_id: MessageId) -> Decision[NotifiedCase]:
    """End an open message as `unknown`: it may have gone out after the state that was restored."""
    message = case.message(message_id) if case else None
    if case is None or message is None or message.next_at is None:
        return Decision()
    return _settled(case, message, MessageOutcome.UNKNOWN)


def revoke(cancelled: AppointmentCancelled, case: NotifiedCase | None) -> Decision[NotifiedCase]:
    """Nobody is told of what was cancelled; what has gone out stays as it is."""
    if case is None:
        return Decision()
    open_ = [
        message
        for message in case.messages
        if message.appointment_id == cancelled.appointment_id and message.next_at and not message.revoked
    ]
    if not open_:
        return Decision()
    return Decision(case.replacing(*(_revoked(message) for message in open_)))


def take_up(case: NotifiedCase | None, now: datetime, *, message_id: MessageId, lease: Lease) -> Decision[NotifiedCase]:
    """Mark a due message as `sending`, so that nobody else sends it; its owner may ask again.

    One that its owner never concluded ends as `unknown`; one that would come after its appointment as `failed`.
    """
    message = case.message(message_id) if case else None
    if case is None or message is None or message.next_at is None or message.next_at > now:
        return Decision()
    if case.is_sending(message_id, lease.owner):
        return Decision()
    if message.state is MessageState.SENDING:
        return _settled(case, message, MessageOutcome.UNKNOWN)
    if message.starts_at <= now:
        return _settled(case, message, MessageOutcome.FAILED)
    return Decision(case.replacing(message.model_copy(update={"state": MessageState.SENDING, "lease": lease})))


def conclude(
    case: NotifiedCase | None,
    now: datetime,
    *,
    message_id: MessageId,
    owner: Id,
    outcome: MessageOutcome | None,
    language: Language | None = None,
) -> Decision[NotifiedCase]:
    """Note what became of a message its owner took up; without an outcome nothing went out, and it is put off.

    An owner whose lease has passed to nobody or somebody else changes nothing.
    """
    message = case.message(message_id) if case else None
    if case is None or message is None or not case.is_sending(message_id, owner):
        return Decision()
    if outcome is None:
        return Decision(case.replacing(_put_off(message, now)))
    return _settled(case, message.model_copy(update={"language": language}), outcome)


def _settled(case: NotifiedCase, message: Message, outcome: MessageOutcome) -> Decision[NotifiedCase]:
    settled = MessageSettled(
        case_id=case.id,
        referral_id=message.referral_id,
        message_id=message.id,
        person_id=message.person_id,
        outcome=outcome,
        channel=None if outcome is MessageOutcome.NO_CHANNEL else Channel.EMAIL,
        language=message.language,
    )
    return Decision(case.replacing(_ended(message, settled)), (settled,))


def _ended(message: Message, settled: MessageSettled) -> Message:
    state = MessageState(settled.outcome)
    return message.model_copy(update={"state": state, "lease": None, "language": settled.language})


def _put_off(message: Message, now: datetime) -> Message:
    if message.revoked:
        return _revoked(message.model_copy(update={"state": MessageState.PENDING, "lease": None}))
    pause = min(FIRST_PAUSE * 2**message.tries, LONGEST_PAUSE)
    change = {"state": MessageState.PENDING, "lease": None, "tries": message.tries + 1, "due_at": now + pause}
    return message.model_copy(update=change)


def _revoked(message: Message) -> Message:
    if message.state is MessageState.SENDING:
        return message.model_copy(update={"revoked": True})
    return message.model_copy(update={"state": MessageState.CANCELLED})
