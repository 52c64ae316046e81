"""Cases and Kafka records as tests want them; each builder names only what a test is about."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka.structs import ConsumerRecord

from shared.contracts import Event
from shared.contracts.base import derived_id, new_id
from shared.contracts.codes import AgeBand, Concern, LegalBasisKind, Municipality, Urgency
from shared.contracts.intake import CaseOpened, ConcernFacts, LegalBasis
from shared.envelope import Cause, headers_of, source_of
from shared.pipeline.outbox import row_of
from toy.service import PLAIN

NOW: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
INTAKE: Final = source_of("intake")

Headers = Sequence[tuple[str, bytes | None]]


def a_case(case_id: str | None = None, *, behaviour: str = PLAIN) -> CaseOpened:
    """An opened case; `behaviour` is one of the toy's."""
    person = new_id()
    return CaseOpened(
        case_id=case_id or new_id(),
        person_id=person,
        received_at=NOW,
        municipality=Municipality.EPPSTEIN,
        languages=(behaviour,),
        urgency=Urgency.NORMAL,
        legal_basis=LegalBasis(kind=LegalBasisKind.CONSENT),
        concerns=(
            ConcernFacts(concern_id=new_id(), code=Concern.GERMAN_COURSE, person_id=person, age_band=AgeBand.ADULT),
        ),
    )


class Written:
    """An event as its writer puts it on the wire: key, value and headers, each open to change."""

    def __init__(self, event: Event, *, source: str = INTAKE, sequence: int = 1, id_: str | None = None) -> None:
        row = row_of(event, Cause.begin(), 0, None, sequence, NOW)
        if id_ is not None:
            row["_id"] = id_
        self.id: str = row["_id"]
        self.key: bytes | None = row["subject"].encode()
        self.value: bytes | None = row["data"].encode()
        self.headers: list[tuple[str, bytes | None]] = list(headers_of(row, source))

    def with_header(self, name: str, value: bytes | None) -> "Written":
        """The same with one header set or replaced."""
        self.headers = [(known, text) for known, text in self.headers if known != name] + [(name, value)]
        return self


def a_record(written: Written, *, topic: str, partition: int = 0, offset: int = 0) -> ConsumerRecord:
    """The record that a reader gets."""
    return ConsumerRecord(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp=int(NOW.timestamp() * 1000),
        timestamp_type=0,
        key=written.key,
        value=written.value,
        checksum=None,
        serialized_key_size=len(written.key or b""),
        serialized_value_size=len(written.value or b""),
        headers=tuple(written.headers),
    )


def effect_of(written: Written, topic: str) -> str:
    """The id under which the toy counts an event."""
    return written.id if len(written.id) == 36 else derived_id(topic, written.id)


def kwargs_of(written: Written) -> dict[str, Any]:
    """What a producer's `send` wants beside the topic."""
    return {"key": written.key, "value": written.value, "headers": written.headers}
