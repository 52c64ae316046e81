"""A reply that came over HTTP: checked as it will be when it is read from Kafka, where nobody could answer at once."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError

from shared.contracts import BY_TYPE, CONTRACTS
from shared.contracts.partners import CapacityReported
from shared.envelope import rfc3339, source_of_partner
from shared.web.faults import Fault, faults_of, pointer

TYPES: Final = tuple(contract.type for contract in CONTRACTS if contract.publisher == "partner")


_Printable = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,200}$")]


class Reply(BaseModel):
    """A CloudEvent in structured mode. `id` is the partner's own choice and makes a repetition harmless; `source` may
    be left out, since it is known."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    specversion: Annotated[str, StringConstraints(pattern=r"^1\.0$")] = "1.0"
    id: _Printable
    type: str
    source: str | None = None
    time: AwareDatetime | None = None
    traceparent: _Printable | None = None
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """A reply as it goes to Kafka."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def faults_in(reply: Reply, partner_id: str) -> list[Fault]:
    """What keeps the reply from being one of this partner's; empty where it may be written."""
    faults = []
    if reply.source not in (None, source_of_partner(partner_id)):
        faults.append(Fault(pointer("source"), f"absent, or {source_of_partner(partner_id)}"))
    if reply.type not in TYPES:
        return [*faults, Fault(pointer("type"), f"one of {', '.join(TYPES)}")]
    try:
        event = BY_TYPE[reply.type].event.model_validate_json(_payload(reply))
    except ValidationError as error:
        return [*faults, *(Fault(pointer("data") + fault.where, fault.expected) for fault in faults_of(error))]
    if isinstance(event, CapacityReported) and event.partner_id != partner_id:
        faults.append(Fault(pointer("data", "partner_id"), partner_id))
    return faults


def written(reply: Reply, partner_id: str) -> Written:
    """A reply without faults as a record in binary mode; what we do not know in it goes along."""
    subject = str(reply.data[BY_TYPE[reply.type].subject])
    attributes = {
        "specversion": "1.0",
        "id": reply.id,
        "source": source_of_partner(partner_id),
        "type": reply.type,
        "subject": subject,
        **({"time": rfc3339(reply.time)} if reply.time else {}),
        **({"traceparent": reply.traceparent} if reply.traceparent else {}),
    }
    headers = [(f"ce_{name}", text.encode()) for name, text in attributes.items()]
    return Written(subject.encode(), _payload(reply), [*headers, ("content-type", b"application/json")])


def _payload(reply: Reply) -> bytes:
    return json.dumps(reply.data, ensure_ascii=False).encode()
