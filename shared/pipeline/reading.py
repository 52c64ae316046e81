"""From a Kafka record to a command: what it is, what it concerns, and what happens when it cannot be understood."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic

from aiokafka.structs import ConsumerRecord
from pydantic import ValidationError

from shared.contracts import BY_EVENT, BY_TYPE, Contract, Event
from shared.contracts.base import derived_id
from shared.contracts.codes import RejectionReason, SetAsideReason
from shared.contracts.operations import RecordSetAside
from shared.envelope import Cause, Envelope, UnreadableError, is_id, new_traceparent, source_of, unwrap
from shared.metrics import DEAD_LETTERS, IGNORED, REJECTED_REPLIES, UNKNOWN_FIELDS
from shared.mongo import RefusedError
from shared.pipeline.decisions import Command, Decision, Mark, Reaction, Received, S
from shared.pipeline.engine import INBOX
from shared.pipeline.set_aside import REPLAYED, aside_document, record_id
from shared.pipeline.wire import UNREADABLE
from shared.topics import owner_of

Reject = Callable[[str, int, int, RejectionReason], Event]
"""Builds the answer to a partner's bad reply from the partner, partition, offset and reason."""

_REJECTIONS: Final = {
    SetAsideReason.NOT_JSON: RejectionReason.INVALID,
    SetAsideReason.BREAKS_SCHEMA: RejectionReason.INVALID,
}


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic pattern read by one consumer group. With `reject`, what cannot be read is answered in the partner's own
    queue instead of being set aside."""

    pattern: str
    group: str
    reject: Reject | None = None


class Reader(Generic[S]):
    """Makes commands of records for one subscription of one service."""

    def __init__(self, service: str, reactions: Iterable[Reaction[Any, S]], subscription: Subscription) -> None:
        self._service = service
        self._own_source = source_of(service)
        self._reject = subscription.reject
        self._reactions = {BY_EVENT[reaction.event].type: reaction for reaction in reactions}

    def command(self, record: ConsumerRecord) -> Command[S] | None:
        """What to decide about a record; None where it is not for this service."""
        try:
            envelope = self._envelope(record)
            reaction = self._reactions.get(envelope.type)
            if reaction is None:
                return self._ignored(record, envelope)
            if envelope.source == self._own_source:
                return None
            return self._reacting(record, envelope, reaction)
        except UnreadableError as problem:
            return self._unreadable(record, problem.reason)

    def replayed(self, document: dict[str, Any], record: ConsumerRecord) -> Command[S] | None:
        """What to decide about a record that was set aside; when that succeeds it counts as replayed."""
        command = self.command(record)
        if command is None:
            return None
        decide = command.decide

        def decide_again(state: S | None, now: datetime) -> Decision[S]:
            decision = decide(state, now)
            if decision.aside is not None:
                return Decision(aside=decision.aside)
            done = {**document, "state": REPLAYED, "subjects": [], "at": now}
            return Decision(decision.state, decision.events, decision.answer, done)

        return Command(command.key, command.cause, decide_again, self._marks_of(command, record), command.subjects)

    @staticmethod
    def _marks_of(command: Command[S], record: ConsumerRecord) -> tuple[Mark, ...]:
        own = record_id(record.topic, record.partition, record.offset)
        return tuple(mark for mark in command.marks if mark.id != own)

    def _envelope(self, record: ConsumerRecord) -> Envelope:
        if any(name == UNREADABLE for name, _ in record.headers):
            raise UnreadableError(SetAsideReason.UNREADABLE_BATCH)
        if not record.key:
            raise UnreadableError(SetAsideReason.NO_KEY)
        return unwrap(record.topic, record.headers, record.value)

    def _reacting(self, record: ConsumerRecord, envelope: Envelope, reaction: Reaction[Any, S]) -> Command[S]:
        event = _decoded(BY_TYPE[envelope.type], envelope.data)
        received = Received(
            event=event,
            cause=envelope.cause,
            sequence=envelope.sequence,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            partner_id=owner_of(record.topic),
        )
        key = reaction.key(event)
        subjects = (key, record.key.decode("utf-8", "replace"))
        decide = reaction.decide
        return Command(
            key=key,
            cause=envelope.cause,
            decide=lambda state, now: decide(received, state, now),
            marks=(Mark(INBOX, f"{record.topic}/{envelope.id}"),),
            subjects=subjects,
            fallback=lambda error: self._aside(record, _reason_of(error), subjects),
            parked=lambda: self._aside(record, SetAsideReason.PARKED, subjects),
        )

    def _ignored(self, record: ConsumerRecord, envelope: Envelope) -> Command[S] | None:
        IGNORED.labels(envelope.type if envelope.type in BY_TYPE else "unknown").inc()
        if self._reject is None:
            return None
        return self._rejected(record, self._reject, RejectionReason.UNKNOWN_TYPE)

    def _unreadable(self, record: ConsumerRecord, reason: SetAsideReason) -> Command[S]:
        if self._reject is not None:
            return self._rejected(record, self._reject, _REJECTIONS.get(reason, RejectionReason.UNREADABLE))
        subjects = (record.key.decode("utf-8", "replace"),) if record.key else ()
        return self._aside(record, reason, subjects)

    def _rejected(self, record: ConsumerRecord, reject: Reject, reason: RejectionReason) -> Command[S]:
        REJECTED_REPLIES.inc()
        partner = owner_of(record.topic)
        assert partner is not None, "only partner topics are answered"
        event = reject(partner, record.partition, record.offset, reason)
        return Command(None, self._own_cause(record), lambda _state, _now: Decision(events=(event,)), self._own(record))

    def _aside(self, record: ConsumerRecord, reason: SetAsideReason, subjects: tuple[str, ...]) -> Command[S]:
        DEAD_LETTERS.labels(reason.value).inc()
        id_ = record_id(record.topic, record.partition, record.offset)
        key = (record.key or b"").decode("utf-8", "replace")
        event = RecordSetAside(
            service=self._service,
            record_id=id_,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
            original_key=key if is_id(key) else id_,
        )
        return Command(
            key=None,
            cause=self._own_cause(record),
            decide=lambda _state, now: Decision(
                events=(event,), aside=aside_document(record, reason, set(subjects), now)
            ),
            marks=self._own(record),
        )

    @staticmethod
    def _own(record: ConsumerRecord) -> tuple[Mark, ...]:
        return (Mark(INBOX, record_id(record.topic, record.partition, record.offset)),)

    @staticmethod
    def _own_cause(record: ConsumerRecord) -> Cause:
        id_ = record_id(record.topic, record.partition, record.offset)
        return Cause(id=id_, correlation_id=derived_id(id_, "correlation"), traceparent=new_traceparent())


def _decoded(contract: Contract, data: bytes) -> Event:
    try:
        event = contract.event.model_validate_json(data, extra="allow")
    except ValidationError as error:
        broken = any(problem["type"] == "json_invalid" for problem in error.errors(include_input=False))
        raise UnreadableError(SetAsideReason.NOT_JSON if broken else SetAsideReason.BREAKS_SCHEMA) from None
    if event.model_extra:
        UNKNOWN_FIELDS.labels(contract.type).inc()
    return event


def _reason_of(error: Exception) -> SetAsideReason:
    return SetAsideReason.REFUSED_BY_STORE if isinstance(error, RefusedError) else SetAsideReason.HANDLER_FAILED
