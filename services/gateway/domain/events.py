"""An event of a partner's queue, and as what it leaves the gateway: CloudEvents 1.0, JSON format."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class QueueEvent:
    """One record of the queue: where it lies, the CloudEvents attributes without their prefix, and the payload."""

    partition: int
    offset: int
    attributes: Mapping[str, str]
    data: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The same at each repetition."""
        return self.attributes["id"]

    @property
    def type(self) -> str:
        """The type as CloudEvents name it."""
        return self.attributes["type"]

    @property
    def subject(self) -> str:
        """What it is about: events of one subject keep their order."""
        return self.attributes["subject"]

    @property
    def sequence(self) -> int:
        """Its place among those of its subject."""
        return int(self.attributes["sequence"])

    @property
    def time(self) -> datetime:
        """When it happened (UTC)."""
        return datetime.fromisoformat(self.attributes["time"]).astimezone(UTC)

    @property
    def as_json(self) -> dict[str, Any]:
        """The event in structured mode."""
        return {**self.attributes, "datacontenttype": "application/json", "data": self.data}


def event_of(
    partition: int, offset: int, headers: Sequence[tuple[str, bytes]], value: bytes | None
) -> QueueEvent | None:
    """The event in a record; None where it is none, which routing does not write."""
    try:
        attributes = {name[3:]: text.decode() for name, text in headers if name.startswith("ce_")}
        event = QueueEvent(partition, offset, attributes, json.loads(value or b""))
        complete = bool(event.id and event.type and event.subject and event.time and event.sequence >= 0)
    except (KeyError, ValueError, AttributeError):
        return None
    return event if complete and isinstance(event.data, dict) else None
