"""CloudEvents 1.0 on Kafka: how an event is wrapped and unwrapped.

Binary mode is written (attributes in `ce_` headers, the payload as JSON in the value); structured mode is read as well.
Sources: CloudEvents 1.0 Kafka protocol binding; W3C Trace Context for `traceparent`.
"""

import re
import secrets
from dataclasses import dataclass
from typing import Final

from shared.contracts.base import new_id

TRACEPARENT: Final = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")


def new_traceparent(parent: str | None = None) -> str:
    """A `traceparent` of its own span: in the trace of `parent` where that is valid, else in a new trace."""
    span = secrets.token_hex(8)
    if parent and TRACEPARENT.match(parent):
        return f"{parent[:36]}{span}{parent[52:]}"
    return f"00-{secrets.token_hex(16)}-{span}-01"


@dataclass(frozen=True, slots=True)
class Cause:
    """What an effect follows from: the id of the event or request, and the two threads it belongs to."""

    id: str
    correlation_id: str
    traceparent: str

    @classmethod
    def begin(cls) -> "Cause":
        """A cause that nothing stands before."""
        return cls(id=new_id(), correlation_id=new_id(), traceparent=new_traceparent())
