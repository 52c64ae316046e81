"""What a partner's software on trial may have said."""

import json
from typing import Any

from aiokafka import ConsumerRecord

from shared.contracts.base import new_id

PREFIX = "de.integrationsbuero."


def a_reply(
    referral_id: str,
    what: str = "reply.accepted",
    *,
    id_: str | None = None,
    key: str | None = None,
    source: str = "/partner/awo",
    time: str = "2026-11-02T09:00:00+01:00",
    subject: str | None = None,
    **said: Any,
) -> ConsumerRecord:
    """As it is read from the sandbox's replies."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": id_ or new_id(),
        "ce_source": source,
        "ce_type": f"{PREFIX}{what}.v1",
        "ce_time": time,
        "ce_subject": subject or referral_id,
    }
    return a_record(
        (key or referral_id).encode(),
        json.dumps({"referral_id": referral_id, **said}).encode(),
        [(name, text.encode()) for name, text in headers.items()],
    )


def a_structured_reply(**attributes: str) -> ConsumerRecord:
    """The same with its attributes in the payload."""
    referral_id = new_id()
    told = {
        "specversion": "1.0",
        "id": new_id(),
        "source": "/partner/awo",
        "type": f"{PREFIX}reply.accepted.v1",
        "data": {"referral_id": referral_id},
        **attributes,
    }
    form = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    return a_record(referral_id.encode(), json.dumps(told).encode(), form)


def a_record(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> ConsumerRecord:
    """Whatever stands in it."""
    return ConsumerRecord("sandbox.awo.replies.v1", 3, 17, 0, 0, key, value, None, 0, 0, headers)
