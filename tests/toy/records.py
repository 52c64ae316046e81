"""Events and Kafka records as tests want them; each builder names only what a test is about."""

from datetime import UTC, datetime
from typing import Any, Final

from aiokafka.structs import ConsumerRecord

from shared.contracts.base import new_id
from shared.contracts.codes import Concern
from shared.contracts.routing import ReferralAccepted
from shared.envelope import Cause, headers_of, source_of
from shared.pipeline.outbox import row_of
from toy.service import PLAIN

NOW: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ROUTING: Final = source_of("routing")


def an_event(case_id: str | None = None, *, behaviour: str = PLAIN) -> ReferralAccepted:
    """Something that happens in a case; the case's id serves as the referral's, `behaviour` is one of the toy's."""
    case = case_id or new_id()
    return ReferralAccepted(
        partner_id="toy",
        referral_id=case,
        case_id=case,
        person_id=new_id(),
        codes=(Concern.GERMAN_COURSE,),
        languages=(behaviour,),
    )


class Written:
    """One of the toy's events as its writer puts it on the wire: key, value and headers, each open to change."""

    def __init__(
        self,
        case_id: str | None = None,
        *,
        behaviour: str = PLAIN,
        id_: str | None = None,
        source: str = ROUTING,
        sequence: int = 1,
    ) -> None:
        row = row_of(an_event(case_id, behaviour=behaviour), Cause.begin(), 0, None, sequence, NOW)
        row["_id"] = id_ or row["_id"]
        self.id: str = row["_id"]
        self.case_id: str = row["subject"]
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


def kwargs_of(written: Written) -> dict[str, Any]:
    """What a producer's `send` wants beside the topic."""
    return {"key": written.key, "value": written.value, "headers": written.headers}
