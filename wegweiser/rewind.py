"""`wegweiser rewind SERVICE --to TIME`: let a service read its topics again, after its database was restored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError, UnknownMemberIdError
from aiokafka.structs import TopicPartition

from shared.pipeline.reading import Subscription
from shared.topics import ServiceName
from wegweiser.addresses import Bus, found, stop
from wegweiser.bus import Cluster, ask, cluster, matching, subscriptions_of


class ActiveGroupError(Exception):
    """A group has members; moving it under their feet would be undone by their next commit."""

    def __init__(self, group: str) -> None:
        super().__init__(f"the group {group} has active members: stop the service first (`wegweiser stop`)")


@dataclass(frozen=True, slots=True)
class Move:
    """A group that was set back in one partition."""

    group: str
    partition: TopicPartition
    before: int
    after: int


def rewind(
    service: Annotated[ServiceName, typer.Argument(help="which one; it must not run")],
    to: Annotated[str, typer.Option(metavar="TIME", help="with its zone: 2026-03-01T08:00+01:00")],
) -> None:
    """Set a service back to the first record at or after TIME; what its inbox knows takes no effect again.

    After a restore of an older database only the order within a partition is kept, which is enough for intake and
    notify. Routing may read a reply before its case and reject it; scheduling may book another slot than the one
    already told: see docs/adr/0008-rewind-after-a-restore.md.
    """
    moment = parsed(to)
    try:
        moves = ask(set_back(found(Bus).kafka_bootstrap, subscriptions_of(service), moment))
    except ActiveGroupError as error:
        stop(str(error), code=1)
    for move in moves:
        where = f"{move.group}  {move.partition.topic}  partition {move.partition.partition}"
        typer.echo(f"{where}: {move.before} → {move.after}, {move.before - move.after} offsets again")
    typer.echo(f"{len(moves)} partitions set back; start {service} to read again" if moves else "nothing to set back")


def parsed(time: str) -> datetime:
    """A moment with its zone; ends the command with one line where it is none."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        stop(f"{time} is no time; write one like 2026-03-01T08:00+01:00", code=1)
    if moment.tzinfo is None:
        stop(f"{time} names no zone; write {time}+01:00 or {time}Z", code=1)
    return moment


async def set_back(bootstrap: str, subscriptions: Sequence[Subscription], moment: datetime) -> list[Move]:
    """Set every group of these subscriptions back; raises `ActiveGroupError` before anything is changed.

    A group is never set forward, which would pass records nobody read; one that never committed begins at the oldest
    record anyway.
    """
    async with cluster(bootstrap) as kafka:
        known = await kafka.groups()
        begun = [subscription for subscription in subscriptions if subscription.group in known]
        for subscription in begun:
            if await kafka.is_active(subscription.group):
                raise ActiveGroupError(subscription.group)
        moves = [move for subscription in begun for move in await _moves(kafka, subscription, moment)]
    for group in {move.group for move in moves}:
        await _commit(bootstrap, group, {move.partition: move.after for move in moves if move.group == group})
    return moves


async def _moves(kafka: Cluster, subscription: Subscription, moment: datetime) -> list[Move]:
    partitions = await kafka.partitions(matching(await kafka.topics(), subscription))
    committed = await kafka.committed(subscription.group)
    since = await kafka.first_since(partitions, int(moment.timestamp() * 1000))
    return [
        Move(subscription.group, partition, committed[partition], since[partition])
        for partition in partitions
        if since[partition] < committed.get(partition, 0)
    ]


async def _commit(bootstrap: str, group: str, offsets: dict[TopicPartition, int]) -> None:
    """Commit as nobody's member, which the broker allows while the group is empty."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign(list(offsets))
        try:
            await consumer.commit(offsets)
        except (CommitFailedError, UnknownMemberIdError):
            raise ActiveGroupError(group) from None
