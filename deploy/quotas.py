"""How much of Kafka a user may have. Who wants more is answered later; nothing is refused and nothing is lost.

Neither client library has a call for it. These are Kafka's own two requests, a few milliseconds each and the same
wherever the broker runs; `kafka-configs` would take two seconds a user, and a file with the administrator's password.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import DescribeClientQuotasRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

from shared.kafka_access import KafkaAccess

_ANY_NAME: Final = 2
_ENTITY: Final = ("entity", Array(("type", String()), ("name", String())))


class Quota(NamedTuple):
    """Of one user at each broker: bytes a second written and read, and percent of one of the broker's threads."""

    producer_byte_rate: int
    consumer_byte_rate: int
    request_percentage: int


def limit(admin: KafkaAccess, users: Iterable[str], quota: Quota | None) -> None:
    """Let each of these users have so much and no more; `None` takes the limits away. Raises `KafkaError`."""
    values = quota or Quota(0, 0, 0)
    changes = [(key, float(value), quota is None) for key, value in values._asdict().items()]
    answer = asyncio.run(_answered(admin, _AlterClientQuotas([([("user", user)], changes) for user in users])))
    for code, why, _ in answer.entries:
        if code:
            raise for_code(code)(why)


def limits(admin: KafkaAccess) -> dict[str, Quota]:
    """Every user that has limits, and which. Raises `KafkaError`."""
    answer = asyncio.run(_answered(admin, DescribeClientQuotasRequest([("user", _ANY_NAME, None)], strict=True)))
    if answer.error_code:
        raise for_code(answer.error_code)(answer.error_message)
    found = {user: dict(values) for [(_, user)], values in answer.entries}
    return {user: Quota(**{key: int(values.get(key, 0)) for key in Quota._fields}) for user, values in found.items()}


async def _answered(admin: KafkaAccess, request: Request) -> Any:
    client = AIOKafkaClient(**admin.options)
    try:
        await client.bootstrap()
        return await client.send(client.get_random_node(), request)
    finally:
        await client.close()


class _Altered(Response):  # type: ignore[misc]
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", String()), _ENTITY)),
    )


class _Alteration(RequestStruct):  # type: ignore[misc]
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _Altered
    SCHEMA = Schema(
        ("entries", Array(_ENTITY, ("ops", Array(("key", String()), ("value", Float64), ("remove", Boolean))))),
        ("validate_only", Boolean),
    )


class _AlterClientQuotas(Request[_Alteration]):  # type: ignore[misc]
    API_KEY = 49

    def __init__(self, entries: list[Any]) -> None:
        self._entries = entries

    def build(self, request_struct_class: type[_Alteration]) -> _Alteration:
        return request_struct_class(self._entries, False)
