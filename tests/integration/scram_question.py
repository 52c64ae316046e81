"""Kafka's own request for who can sign in: confluent-kafka ends the process where it is refused."""

from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int8, Int16, Int32, Schema, TaggedFields


class _Described(Response):  # type: ignore[misc]
    API_KEY = 50
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", CompactString()),
        (
            "results",
            CompactArray(
                ("user", CompactString()),
                ("error_code", Int16),
                ("error_message", CompactString()),
                ("infos", CompactArray(("mechanism", Int8), ("iterations", Int32), ("tags", TaggedFields))),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Description(RequestStruct):  # type: ignore[misc]
    API_KEY = 50
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Described
    SCHEMA = Schema(
        ("users", CompactArray(("name", CompactString()), ("tags", TaggedFields))),
        ("tags", TaggedFields),
    )


class WhoSignsIn(Request[_Description]):  # type: ignore[misc]
    """Everybody who can sign in; the answer has an `error_code`."""

    API_KEY = 50

    def build(self, request_struct_class: type[_Description]) -> Any:
        return request_struct_class([], {})
