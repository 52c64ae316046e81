"""The topics: their names, how they are kept, and who owns what arrives on them (DESIGN section 3)."""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from shared.kafka_access import KafkaAccess

DAY: Final = 24 * 60 * 60 * 1000
RETENTION_MS: Final = 29 * DAY
"""Every topic: long enough for a partner that is down for two weeks. The broker drops whole segments, each up to a day
long, so no record outlasts 30 days, the longest time that pseudonymous data may stay on the bus."""
_KEPT: Final = {"retention.ms": str(RETENTION_MS), "segment.ms": str(DAY), "message.timestamp.type": "LogAppendTime"}
"""The broker's clock counts: a writer's own could outlast the retention or hide a record from a rewind."""
PARTITIONS: Final = 6
_AS_THE_CLUSTER_HAS_IT: Final = -1

REFERRALS: Final = r"^partner\.[a-z][a-z0-9-]{1,30}\.referrals\.v1$"
REPLIES: Final = r"^partner\.[a-z][a-z0-9-]{1,30}\.replies\.v1$"
_OWNER: Final = re.compile(r"^partner\.([a-z][a-z0-9-]{1,30})\.(?:referrals|replies)\.v1$")


class ServiceName(StrEnum):
    """The services there are."""

    INTAKE = "intake"
    ROUTING = "routing"
    SCHEDULING = "scheduling"
    NOTIFY = "notify"


SERVICES: Final = tuple(ServiceName)


class DoorName(StrEnum):
    """What answers over HTTP: the services, and the gateway, which has no part in the events between them."""

    INTAKE = ServiceName.INTAKE
    ROUTING = ServiceName.ROUTING
    SCHEDULING = ServiceName.SCHEDULING
    NOTIFY = ServiceName.NOTIFY
    GATEWAY = "gateway"


GATEWAY: Final = DoorName.GATEWAY
OWN_NAMES: Final = (*SERVICES, GATEWAY, "admin", "broker", "operator", "sandbox", "wegweiser")
"""Of topics, users and clients that are ours: no partner is called so."""
DOORS: Final = tuple(DoorName)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic to be provisioned."""

    name: str
    partitions: int = PARTITIONS


def owner_of(topic: str) -> str | None:
    """The partner a topic belongs to: on its replies topic the only sender that is believed."""
    match = _OWNER.fullmatch(topic)
    return match[1] if match else None


def is_from_outside(topic: str) -> bool:
    """Whether somebody else than our own services writes on the topic, so that ids on it may be anybody's choice."""
    return topic.endswith(".replies.v1")


def dead_letters_of(service: str) -> str:
    """Where a service tells operators about records it set aside."""
    return f"{service}.dead-letters.v1"


def partner_topics(partner_id: str) -> tuple[Topic, Topic]:
    """A partner's queue and its replies."""
    return Topic(f"partner.{partner_id}.referrals.v1"), Topic(f"partner.{partner_id}.replies.v1")


def sandbox_topics(partner_id: str) -> tuple[Topic, Topic]:
    """A queue and replies for a partner's software to be tried on; no service reads or writes them."""
    return Topic(f"sandbox.{partner_id}.referrals.v1"), Topic(f"sandbox.{partner_id}.replies.v1")


def topics_of_partner(partner_id: str) -> tuple[Topic, ...]:
    """Everything that is there for one partner."""
    return *partner_topics(partner_id), *sandbox_topics(partner_id)


def topics_for(partners: Iterable[str]) -> list[Topic]:
    """Everything the platform needs with these partners."""
    own = (
        "intake.cases.v1",
        "routing.referrals.v1",
        "routing.alerts.v1",
        "scheduling.appointments.v1",
        "notify.messages.v1",
    )
    return [
        *(Topic(name) for name in own),
        *(topic for partner in partners for topic in topics_of_partner(partner)),
        *(Topic(dead_letters_of(service), partitions=1) for service in SERVICES),
    ]


async def provision(access: KafkaAccess, topics: Sequence[Topic]) -> list[str]:
    """Create what is missing and return the names of it; topics that exist are left as they are.

    How many copies are kept is the cluster's to decide (`default.replication.factor`).
    """
    async with _admin(access) as admin:
        missing = await _missing(admin, topics)
        if not missing:
            return []
        answer = await admin.create_topics([_new(topic) for topic in missing])
        for name, code, *_ in answer.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(name)
        return [topic.name for topic in missing]


async def missing_topics(access: KafkaAccess, topics: Sequence[Topic]) -> list[str]:
    """The names of those that do not exist; raises `KafkaError` where the broker does not answer."""
    async with _admin(access) as admin:
        return [topic.name for topic in await _missing(admin, topics)]


def _new(topic: Topic) -> NewTopic:
    # aiokafka takes the cluster's own number of copies only beside assignments, of which there are none.
    return NewTopic(topic.name, topic.partitions, _AS_THE_CLUSTER_HAS_IT, replica_assignments={}, topic_configs=_KEPT)


async def _missing(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> list[Topic]:
    existing = set(await admin.list_topics())
    return [topic for topic in topics if topic.name not in existing]


@asynccontextmanager
async def _admin(access: KafkaAccess) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**access.options)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()
