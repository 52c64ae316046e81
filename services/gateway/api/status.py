"""`/v1/partners/{partner_id}/status`: how a partner stands, for its own developers and the operators."""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

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

_REJECTIONS = 50


class GroupView(BaseModel):
    """One consumer group of the partner, and how many events of its queue it has not committed."""

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
    """How a partner stands. `events` are those its queue keeps; `rejected` the latest replies that had no effect."""

    partner_id: str
    events: int
    groups: list[GroupView]
    rejected: list[RejectionView]


def status_router(partner_of: Callable[..., Partner], knowledge: Knowledge) -> APIRouter:
    """The route of the look."""
    router = APIRouter(prefix=PREFIX, tags=["status"], responses=PROBLEM_RESPONSES)

    @router.get("/status", dependencies=[open_to(Role.PARTNER, Role.OPERATOR)])
    async def show_status(partner: Annotated[Partner, Depends(partner_of)]) -> Status:
        """How far the partner's groups are, and which of its replies had no effect."""
        queue, _ = partner_topics(partner.id)
        try:
            async with cluster(partner.access) as kafka:
                partitions = await kafka.partitions([queue.name])
                begins, ends = await kafka.beginnings(partitions), await kafka.ends(partitions)
                groups = [
                    await _group(kafka, name, begins, ends)
                    for name in sorted(await kafka.groups())
                    if name.startswith(f"{partner.id}.")
                ]
        except KafkaError as error:
            raise refused(error) from None
        rejected = await knowledge.rejections(partner.id, limit=_REJECTIONS)
        return Status(
            partner_id=partner.id,
            events=sum(ends[partition] - begins[partition] for partition in partitions),
            groups=groups,
            rejected=[RejectionView.model_validate(said) for said in rejected],
        )

    return router


async def _group(
    kafka: Cluster, name: str, begins: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> GroupView:
    committed = defaultdict(int, await kafka.committed(name))
    lag = sum(end - max(committed[partition], begins[partition]) for partition, end in ends.items())
    return GroupView(group=name, is_active=await kafka.is_active(name), lag=lag)
