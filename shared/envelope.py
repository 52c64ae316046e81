"""CloudEvents 1.0 on Kafka: how an event is wrapped and unwrapped.

Binary mode is written (attributes in `ce_` headers, the payload as JSON in the value); structured mode is read as well.
Sources: CloudEvents 1.0 Kafka protocol binding; W3C Trace Context for `traceparent`.
"""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shared.contracts.base import UUID_PATTERN, derived_id, new_id, schema_of
from shared.contracts.codes import SetAsideReason
from shared.topics import is_from_outside, owner_of

TRACEPARENT: Final = re.compile(r"^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$")
_UUID: Final = re.compile(UUID_PATTERN)
_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_STRUCTURED: Final = b"application/cloudevents+json"
_LONGEST_ID: Final = 200

Headers = Sequence[tuple[str, bytes | None]]


def is_id(text: str | None) -> bool:
    """Whether `text` is an id of our shape (a lower-case UUID)."""
    return text is not None and _UUID.fullmatch(text) is not None


def new_traceparent(parent: str | None = None) -> str:
    """A `traceparent` of its own span: in the trace of `parent` where that is valid, else in a new trace."""
    return traceparent_of(parent, secrets.token_hex(8))


def traceparent_of(parent: str | None, span: str) -> str:
    """The `traceparent` of the span with these 16 hexadecimal digits."""
    if parent and TRACEPARENT.fullmatch(parent):
        return f"{parent[:36]}{span}{parent[52:]}"
    return f"00-{secrets.token_hex(16)}-{span}-01"


def source_of_partner(partner_id: str) -> str:
    """The `ce_source` of everything that a partner says."""
    return f"/partner/{partner_id}"


def source_of(service: str) -> str:
    """The `ce_source` of what a service writes."""
    return f"/integrationsbuero/{service}"


@dataclass(frozen=True, slots=True)
class Cause:
    """What an effect follows from: the id of the event or request, and the two threads it belongs to, each empty where
    the sender gave none that we believe."""

    id: str
    correlation_id: str
    traceparent: str

    @property
    def thread(self) -> str:
        """The correlation id of what follows; a cause without one begins a thread of its own."""
        return self.correlation_id or self.id

    def within(self, correlation_id: str, traceparent: str) -> "Cause":
        """This cause in the threads of its case where it has none itself."""
        if self.correlation_id and self.traceparent:
            return self
        return Cause(self.id, self.correlation_id or correlation_id, self.traceparent or traceparent)

    @classmethod
    def begin(cls) -> "Cause":
        """A cause that nothing stands before."""
        return cls(id=new_id(), correlation_id=new_id(), traceparent=new_traceparent())


@dataclass(frozen=True, slots=True)
class Envelope:
    """The attributes of one event and its undecoded payload.

    `id` is what the sender wrote; `cause` names it by an id of our own shape, since a partner's may be any text. `time`
    (UTC) is when somebody outside claims that it happened; None where none is claimed, and for what our services write.
    """

    id: str
    source: str
    type: str
    sequence: int
    cause: Cause
    data: bytes
    time: datetime | None


class UnreadableError(Exception):
    """A record that is no event; carries the reason, never the content."""

    def __init__(self, reason: SetAsideReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def headers_of(row: dict[str, Any], source: str) -> list[tuple[str, bytes]]:
    """The headers of an outbox row."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", row["_id"].encode()),
        ("ce_source", source.encode()),
        ("ce_type", row["type"].encode()),
        ("ce_subject", row["subject"].encode()),
        ("ce_time", rfc3339(row["time"]).encode()),
        ("ce_dataschema", schema_of(row["type"]).encode()),
        ("content-type", b"application/json"),
        ("ce_sequence", str(row["sequence"]).encode()),
        ("ce_correlationid", row["correlation_id"].encode()),
        ("ce_causationid", row["causation_id"].encode()),
        ("ce_traceparent", row["traceparent"].encode()),
    ]


def rfc3339(moment: datetime) -> str:
    """UTC with milliseconds, as MongoDB keeps it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unwrap(topic: str, headers: Headers, value: bytes | None) -> Envelope:
    """The envelope of a record in binary or structured mode; raises `UnreadableError`."""
    found = dict(headers)
    if value is None or not value:
        raise UnreadableError(SetAsideReason.EMPTY)
    content_type = found.get("content-type")
    try:
        if content_type and content_type.startswith(_STRUCTURED):
            return _structured(topic, value)
        attributes = {name[3:]: text.decode() for name, text in found.items() if text and name.startswith("ce_")}
        for name in found:
            name.encode()  # a name that is not UTF-8 was read with surrogates
    except UnicodeError:
        raise UnreadableError(SetAsideReason.BAD_HEADERS) from None
    return _envelope(topic, attributes, value)


def _structured(topic: str, value: bytes) -> Envelope:
    try:
        event = json.loads(value)
    except (ValueError, RecursionError):
        raise UnreadableError(SetAsideReason.NOT_JSON) from None
    if not isinstance(event, dict):
        raise UnreadableError(SetAsideReason.BREAKS_SCHEMA)
    attributes = {name: str(item) for name, item in event.items() if isinstance(item, str | int)}
    return _envelope(topic, attributes, json.dumps(event.get("data")).encode())


def _envelope(topic: str, attributes: dict[str, str], data: bytes) -> Envelope:
    id_, source, type_ = attributes.get("id"), attributes.get("source"), attributes.get("type")
    if attributes.get("specversion") != "1.0" or not id_ or not source or not type_:
        raise UnreadableError(SetAsideReason.BAD_HEADERS)
    if len(id_) > _LONGEST_ID or not id_.isprintable():
        raise UnreadableError(SetAsideReason.BAD_HEADERS)
    sequence = attributes.get("sequence", "0")
    if not sequence.isascii() or not sequence.isdigit() or len(sequence) > 18:
        raise UnreadableError(SetAsideReason.BAD_HEADERS)
    # A partner may choose an id that another event has; what follows from it must not collide with that one's effects.
    # Its correlation id would let it write into the thread of another case.
    outside = is_from_outside(topic)
    if (partner := owner_of(topic)) and outside and source != source_of_partner(partner):
        raise UnreadableError(SetAsideReason.BAD_HEADERS)
    own_id = derived_id(topic, id_) if outside or not is_id(id_) else id_
    correlation_id, traceparent = attributes.get("correlationid", ""), attributes.get("traceparent", "")
    cause = Cause(
        id=own_id,
        correlation_id=correlation_id if is_id(correlation_id) and not outside else "",
        traceparent=traceparent if TRACEPARENT.fullmatch(traceparent) else "",
    )
    time = _claimed(attributes.get("time", "")) if outside else None
    return Envelope(id=id_, source=source, type=type_, sequence=int(sequence), cause=cause, data=data, time=time)


def _claimed(time: str) -> datetime | None:
    """The moment that an RFC 3339 time names; None where it is no such time."""
    if not _RFC3339.fullmatch(time):
        return None
    try:
        return datetime.fromisoformat(time.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, or one at either end of what a datetime holds
        return None
