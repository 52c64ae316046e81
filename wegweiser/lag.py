"""`wegweiser lag`: how far behind every group is; asks Kafka alone, so it works when the services are down."""

from collections import defaultdict
from dataclasses import dataclass

import typer

from shared.topics import SERVICES
from wegweiser.addresses import Bus, found
from wegweiser.bus import ask, cluster, matching, subscriptions_of
from wegweiser.columns import aligned

_HEAD = ("group", "topic", "partition", "committed", "end", "lag")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a group stands in one partition; without a commit it will begin at the oldest record kept."""

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int


def lag() -> None:
    """Show committed offset, end and lag of every consumer group, of services and partners."""
    positions = ask(positions_of(found(Bus).kafka_bootstrap))
    rows = [
        (at.group, at.topic, at.partition, "-" if at.committed is None else at.committed, at.end, at.lag)
        for at in positions
    ]
    for line in aligned(_HEAD, rows):
        typer.echo(line)
    typer.echo(f"{sum(at.lag for at in positions)} records behind, all groups together")


async def positions_of(bootstrap: str) -> list[Position]:
    """Every group in every partition of the topics it reads: what it committed, and what its service subscribes to."""
    async with cluster(bootstrap) as kafka:
        topics = await kafka.topics()
        reads: dict[str, set[str]] = defaultdict(set)
        for service in SERVICES:
            for subscription in subscriptions_of(service):
                reads[subscription.group].update(matching(topics, subscription))
        known = await kafka.groups()
        committed = {group: await kafka.committed(group) if group in known else {} for group in {*reads, *known}}
        for group, offsets in committed.items():
            reads[group].update(partition.topic for partition in offsets if partition.topic in topics)
        partitions = await kafka.partitions({topic for read in reads.values() for topic in read})
        beginnings, ends = await kafka.beginnings(partitions), await kafka.ends(partitions)
    return [
        Position(
            group=group,
            topic=partition.topic,
            partition=partition.partition,
            committed=committed[group].get(partition),
            end=ends[partition],
            lag=ends[partition] - max(committed[group].get(partition, 0), beginnings[partition]),
        )
        for group in sorted(reads)
        for partition in partitions
        if partition.topic in reads[group]
    ]
