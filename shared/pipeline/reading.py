"""From a Kafka record to a command: what it is, what it concerns, and what happens when it cannot be understood."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Generic

import structlog
from aiokafka.structs import ConsumerRecord
from pydantic import ValidationError

from shared.contracts import BY_EVENT, BY_TYPE, Contract, Event
from shared.contracts.base import derived_id
from shared.contracts.codes import RejectionReason, SetAsideReason
from shared.contracts.operations import RecordSetAside
from shared.envelope import Cause, Envelope, UnreadableError, is_id, new_traceparent, source_of, unwrap
from shared.metrics import IGNORED, UNKNOWN_FIELDS
from shared.mongo import RefusedError
from shared.pipeline.decisions import Command, Decision, Mark, Reaction, Received, S
from shared.pipeline.engine import INBOX
from shared.pipeline.set_aside import REPLAYED, aside_document, held_up, record_id
from shared.pipeline.wire import UNREADABLE
from shared.topics import is_from_outside, owner_of

log = structlog.get_logger()

Reject = Callable[[str, int, int, RejectionReason], Event]
"""Builds the answer to a partner's bad reply from the partner, partition, offset and reason."""

_REJECTIONS: Final = {
    SetAsideReason.NOT_JSON: RejectionReason.INVALID,
    SetAsideReason.BREAKS_SCHEMA: RejectionReason.INVALID,
}


_LONGEST_KEY: Final = 200
"""Bytes of a key that say whom a record concerns: ours have 36, and one of millions would fit no document."""


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
            return self._understood(record)
        except UnreadableError as problem:
            return self._unreadable(record, problem.reason)
        except Exception as error:  # our own fault: this record waits, the others go on
            log.exception("reading_failed", topic=record.topic, error=type(error).__name__)
            return self._aside(record, SetAsideReason.HANDLER_FAILED, _keyed(record), self._own(record))

    def replayed(self, document: dict[str, Any], record: ConsumerRecord) -> Command[S] | None:
        """What to decide about a record that was set aside; when that succeeds it counts as replayed.

        None where it still cannot be understood or is not for this service any more. The mark it was set aside under
        is its own and no repetition; a mark for the replay takes its place.
        """
        try:
            command = self._understood(record)
        except UnreadableError:
            return None
        if command is None:
            return None
        decide = command.decide

        def decide_again(state: S | None, now: datetime) -> Decision[S]:
            decision = decide(state, now)
            return replace(decision, aside={**document, "state": REPLAYED, "subjects": []})

        marks = tuple(mark for mark in command.marks if mark.id != document["mark"])
        return Command(command.key, command.cause, decide_again, (*marks, Mark(INBOX, f"{document['_id']}/replayed")))

    def _understood(self, record: ConsumerRecord) -> Command[S] | None:
        envelope = self._envelope(record)
        reaction = self._reactions.get(envelope.type)
        if reaction is None or not BY_TYPE[envelope.type].belongs_on(record.topic):
            return self._ignored(record, envelope)
        if envelope.source == self._own_source and not is_from_outside(record.topic):
            return None
        return self._reacting(record, envelope, reaction)

    def _envelope(self, record: ConsumerRecord) -> Envelope:
        if not record.key:
            unreadable = any(name == UNREADABLE for name, _ in record.headers)
            raise UnreadableError(SetAsideReason.UNREADABLE_BATCH if unreadable else SetAsideReason.NO_KEY)
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
            time=envelope.time,
        )
        key = reaction.key(event)
        subjects = tuple(held_up(record.topic, name) for name in (key, _text(record.key)))
        # Set aside or parked, it keeps the event's own mark: read again it is a repetition, as any event is.
        mark = Mark(INBOX, f"{record.topic}/{envelope.id}")
        decide = reaction.decide
        return Command(
            key=key,
            cause=envelope.cause,
            decide=lambda state, now: decide(received, state, now),
            marks=(mark,),
            subjects=subjects,
            fallback=lambda error: self._aside(record, _reason_of(error), subjects, mark),
            parked=lambda ahead: self._aside(record, SetAsideReason.PARKED, {*subjects, *ahead}, mark),
        )

    def _ignored(self, record: ConsumerRecord, envelope: Envelope) -> Command[S] | None:
        IGNORED.labels(envelope.type if envelope.type in BY_TYPE else "unknown").inc()
        if self._reject is None:
            return None
        return self._rejected(record, self._reject, RejectionReason.UNKNOWN_TYPE)

    def _unreadable(self, record: ConsumerRecord, reason: SetAsideReason) -> Command[S]:
        if self._reject is not None:
            return self._rejected(record, self._reject, _REJECTIONS.get(reason, RejectionReason.UNREADABLE))
        return self._aside(record, reason, _keyed(record), self._own(record))

    def _rejected(self, record: ConsumerRecord, reject: Reject, reason: RejectionReason) -> Command[S]:
        partner = owner_of(record.topic)
        assert partner is not None, "only partner topics are answered"
        event = reject(partner, record.partition, record.offset, reason)
        mark = self._own(record)
        return Command(None, self._own_cause(record), lambda _state, _now: Decision(events=(event,)), (mark,))

    def _aside(
        self, record: ConsumerRecord, reason: SetAsideReason, subjects: Collection[str], mark: Mark
    ) -> Command[S]:
        id_ = record_id(record.topic, record.partition, record.offset)
        key = _text(record.key)
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
                events=(event,), aside=aside_document(record, reason, subjects, mark.id, now)
            ),
            marks=(mark,),
        )

    @staticmethod
    def _own(record: ConsumerRecord) -> Mark:
        return Mark(INBOX, record_id(record.topic, record.partition, record.offset))

    @staticmethod
    def _own_cause(record: ConsumerRecord) -> Cause:
        id_ = record_id(record.topic, record.partition, record.offset)
        return Cause(id=id_, correlation_id=derived_id(id_, "correlation"), traceparent=new_traceparent())


def _keyed(record: ConsumerRecord) -> tuple[str, ...]:
    return (held_up(record.topic, _text(record.key)),) if record.key else ()


def _text(key: bytes | None) -> str:
    return (key or b"")[:_LONGEST_KEY].decode("utf-8", "replace")


def _decoded(contract: Contract, data: bytes) -> Event:
    try:
        return contract.event.model_validate_json(data, extra="forbid")
    except ValidationError:  # broken, or a newer writer added fields, at the top or inside
        event = _read_tolerantly(contract.event, data)
    UNKNOWN_FIELDS.labels(contract.type).inc()
    return event


def _read_tolerantly(event: type[Event], data: bytes) -> Event:
    try:
        return event.model_validate_json(data)
    except ValidationError as error:
        # Broken JSON is the only mistake of its text; of others there may be thousands, and to list them takes seconds.
        broken = error.error_count() == 1 and error.errors(include_input=False)[0]["type"] == "json_invalid"
        raise UnreadableError(SetAsideReason.NOT_JSON if broken else SetAsideReason.BREAKS_SCHEMA) from None


def _reason_of(error: Exception) -> SetAsideReason:
    return SetAsideReason.REFUSED_BY_STORE if isinstance(error, RefusedError) else SetAsideReason.HANDLER_FAILED
