"""`/v1/partners/{partner_id}/status`: how a partner stands, for its own developers and the operators."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final, NamedTuple

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from fastapi import APIRouter, Depends
from pydantic import BaseModel

from services.gateway.api import PREFIX
from services.gateway.api.feed import refused
from services.gateway.partners import Partner
from services.gateway.repository import Knowledge
from shared.cluster import Cluster, cluster
from shared.contracts.codes import ReferralState, RejectionReason
from shared.topics import partner_topics
from shared.web.problems import PROBLEM_RESPONSES
from shared.web.roles import Role, open_to

_REJECTIONS: Final = 50
_GROUPS: Final = 50
_KEPT_SECONDS: Final = 2.0
"""So long the same is told again: asking Kafka takes two sign-ins."""


class GroupView(BaseModel):
    """One consumer group of the partner, and how many events of its queue it has not committed. A group that has only
    ever read the sandbox is not shown."""

    group: str
    is_active: bool
    lag: int


class RejectionView(BaseModel):
    """A reply that had no effect, by its place in the replies topic (UTC)."""

    at: datetime
    partition: int
    offset: int
    reason: RejectionReason
    state: ReferralState | None = None
    expected: list[ReferralState] = []


class Status(BaseModel):
    """How a partner stands. `events` are those its queue keeps; `groups` the first fifty by their names; `rejected` the
    latest replies that had no effect."""

    partner_id: str
    events: int
    groups: list[GroupView]
    rejected: list[RejectionView]


class _Positions(NamedTuple):
    """What Kafka says of a partner, and when it was asked."""

    at: float
    events: int
    groups: list[GroupView]


def status_router(partner_of: Callable[..., Partner], knowledge: Knowledge) -> APIRouter:
    """The route of the look."""
    router = APIRouter(prefix=PREFIX, tags=["status"], responses=PROBLEM_RESPONSES)
    asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    known: dict[str, _Positions] = {}

    @router.get("/status", dependencies=[open_to(Role.PARTNER, Role.OPERATOR)])
    async def show_status(partner: Annotated[Partner, Depends(partner_of)]) -> Status:
        """How far the partner's groups are, and which of its replies had no effect."""
        async with asking[partner.id]:  # one at a time, and not again for a moment
            if partner.id not in known or time.monotonic() - known[partner.id].at > _KEPT_SECONDS:
                try:
                    known[partner.id] = await _positions(partner)
                except KafkaError as error:
                    raise refused(error) from None
        rejected = await knowledge.rejections(partner.id, limit=_REJECTIONS)
        return Status(
            partner_id=partner.id,
            events=known[partner.id].events,
            groups=known[partner.id].groups,
            rejected=[RejectionView.model_validate(said) for said in rejected],
        )

    return router


async def _positions(partner: Partner) -> _Positions:
    queue, _ = partner_topics(partner.id)
    async with cluster(partner.access) as kafka:
        partitions = await kafka.partitions([queue.name])
        begins, ends = await kafka.beginnings(partitions), await kafka.ends(partitions)
        own = sorted(name for name in await kafka.groups() if name.startswith(f"{partner.id}."))
        groups = [await _group(kafka, name, begins, ends) for name in own[:_GROUPS]]
    events = sum(ends[partition] - begins[partition] for partition in partitions)
    return _Positions(time.monotonic(), events, [group for group in groups if group is not None])


async def _group(
    kafka: Cluster, name: str, begins: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> GroupView | None:
    committed = await kafka.committed(name)
    if committed and not committed.keys() & ends.keys():
        return None
    lag = sum(end - max(committed.get(partition, 0), begins[partition]) for partition, end in ends.items())
    return GroupView(group=name, is_active=await kafka.is_active(name), lag=lag)
