"""How a reply in a partner's sandbox is read: as routing reads it, and what is wrong with its form. No I/O."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.routing.domain.replies import LEEWAY
from shared.contracts import BY_EVENT, BY_TYPE, Event
from shared.contracts.partners import CapacityReported
from shared.envelope import UnreadableError, source_of_partner, unwrap


class WrongError(Exception):
    """A reply that routing would not take as it is meant."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A reply, where it lies and what it is about; `slips` are faults of its form with which it counts all the same."""

    place: str
    id: str
    subject: str
    event: Event
    slips: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """Its `ce_type`."""
        return BY_EVENT[type(self.event)].type


def place_of(record: ConsumerRecord) -> str:
    """Where a record lies."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def heard(record: ConsumerRecord, partner_id: str) -> Heard:
    """What it says; raises `WrongError`."""
    try:
        envelope = unwrap(record.topic, record.headers, record.value)
    except UnreadableError as error:
        raise WrongError(str(error)) from None
    if envelope.source != (own := source_of_partner(partner_id)):
        raise WrongError(f"ce_source {envelope.source} is not {own}")
    if envelope.time is not None and envelope.time > datetime.now(UTC) + LEEWAY:
        raise WrongError(f"ce_time {envelope.time} has not come yet")
    contract = BY_TYPE.get(envelope.type)
    if contract is None or contract.publisher != "partner":
        raise WrongError(f"ce_type {envelope.type} is none of a partner's")
    try:
        event = contract.event.model_validate_json(envelope.data)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, fault["loc"])) or "the whole" for fault in error.errors())
        raise WrongError(f"does not fit its contract in: {where}") from None
    if isinstance(event, CapacityReported) and event.partner_id != partner_id:
        raise WrongError(f"the capacity of {event.partner_id}, which is another partner")
    subject = contract.subject_of(event)
    slips = tuple(_slips(record, subject, has_time=envelope.time is not None))
    return Heard(place_of(record), envelope.id, subject, event, slips)


def _slips(record: ConsumerRecord, subject: str, *, has_time: bool) -> Iterator[str]:
    if record.key != subject.encode():
        yield f"the key is not {subject}, so replies about it have no order"
    if (told := _attribute(record, "subject")) not in (None, subject):
        yield f"ce_subject {told} is not {subject}"
    if (time := _attribute(record, "time")) is not None and not has_time:
        yield f"ce_time {time} is no time of RFC 3339 with an offset"


def _attribute(record: ConsumerRecord, name: str) -> Any:
    """As it was written, in either mode of a record that can be read; None where it was not."""
    headers = {each: text.decode() for each, text in record.headers if text is not None}
    if headers.get("content-type", "").startswith("application/cloudevents+json"):
        return json.loads(record.value).get(name)
    return headers.get(f"ce_{name}")
