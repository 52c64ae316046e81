"""What every event has in common: frozen, coded, without free text.

Ids are strings with a fixed pattern rather than `UUID` objects: they go unchanged into JSON, BSON and Kafka headers.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from hashlib import sha1
from typing import Annotated, ClassVar, Final
from uuid import UUID, uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

UUID_PATTERN: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
PARTNER_PATTERN: Final = r"^[a-z][a-z0-9-]{1,30}$"
NAMESPACE: Final = UUID("5b3a9c1e-6f0d-5c5e-9a54-0d7f6f2f2a17")

Id = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
CaseId = Id
ConcernId = Id
ReferralId = Id
PersonId = Id
AppointmentId = Id
MessageId = Id
PartnerId = Annotated[str, StringConstraints(pattern=PARTNER_PATTERN)]
ServiceName = Annotated[str, StringConstraints(pattern=PARTNER_PATTERN)]
AgreementVersion = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
RuleId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,60}$")]
PlaceId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,60}$")]
SheetId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,60}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]  # ISO 639-1 or 639-3
TopicName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.-]{1,120}$")]
Partition = Annotated[int, Field(ge=0, le=2**31 - 1)]
Offset = Annotated[int, Field(ge=0, le=2**63 - 1)]
Weeks = Annotated[int, Field(ge=0, le=104)]
Places = Annotated[int, Field(ge=0, le=10_000)]
Minutes = Annotated[int, Field(ge=1, le=24 * 60)]
Instant = AwareDatetime
Day = date


def new_id() -> str:
    """A random id, for what begins here."""
    return str(uuid4())


def derived_id(*cause: str) -> str:
    """The id of what follows from `cause`: the same cause makes the same id, so a repetition is recognised.

    A version 5 UUID (RFC 9562), written without the standard library's object, which takes twice as long.
    """
    digits = sha1(NAMESPACE.bytes + "\n".join(cause).encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def schema_of(type_: str) -> str:
    """Reference of the JSON Schema of a CloudEvents type, also of one that only a newer version knows."""
    return f"urn:integrationsbuero:schema:{type_}"


class Facts(BaseModel):
    """A frozen group of coded values. What is unknown is ignored: a newer writer may know more."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, ser_json_temporal="iso8601")


class Event(Facts):
    """Something that happened, in the past participle."""


@dataclass(frozen=True, slots=True)
class Contract:
    """Binds an event to its CloudEvents type and its topic.

    `topic` may hold `{partner_id}` or `{service}`, filled from the event; `subject` names the field that is the key.
    An event `apart` is about a record and belongs to no case: it has no place in an order, and its `ce_sequence` is 0.
    """

    event: type[Event]
    type: str
    topic: str
    subject: str
    publisher: str
    apart: bool = False

    PREFIX: ClassVar[str] = "de.integrationsbuero."

    @property
    def schema(self) -> str:
        """Reference of the JSON Schema, as it stands in `ce_dataschema`."""
        return schema_of(self.type)

    def belongs_on(self, topic: str) -> bool:
        """Whether this event may arrive on a topic; the topic's writer is the only sender that is believed."""
        return _shape_of(self.topic).fullmatch(topic) is not None

    def topic_of(self, event: Event) -> str:
        """The topic this very event goes to."""
        return self.topic.format_map(event.__dict__)

    def subject_of(self, event: Event) -> str:
        """The value of the subject field: key of the record and `ce_subject`."""
        subject: str = getattr(event, self.subject)
        return subject


@cache
def _shape_of(template: str) -> re.Pattern[str]:
    """A topic's template as a pattern: any partner or service in the place of the braces."""
    return re.compile(re.sub(r"\\{\w+\\}", "[a-z][a-z0-9-]{1,30}", re.escape(template)))
