"""`wegweiser lag`: how far behind every group is; asks Kafka alone, so it works when the services are down."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import typer

from shared.cluster import cluster
from shared.kafka_access import KafkaAccess
from shared.topics import SERVICES
from wegweiser.addresses import Bus, found
from wegweiser.bus import ask, matching, subscriptions_of
from wegweiser.columns import aligned

_HEAD = ("group", "topic", "partition", "committed", "end", "lag")
_PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Position:
    """Where a group stands in one partition; without a commit it will begin at the oldest record kept."""

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int


def lag(all_: Annotated[bool, typer.Option("--all", help="also who is not behind")] = False) -> None:
    """Show committed offset, end and lag of the consumer groups of services and partners that are behind."""
    positions = ask(positions_of(found(Bus)), patience=_PATIENCE_SECONDS)
    for line in lines_of(positions, with_zeros=all_):
        typer.echo(line)


def lines_of(positions: Sequence[Position], *, with_zeros: bool) -> Iterator[str]:
    """The table, and what is behind in all."""
    rows = [
        (at.group, at.topic, at.partition, "-" if at.committed is None else at.committed, at.end, at.lag)
        for at in positions
        if at.lag or with_zeros
    ]
    if rows:
        yield from aligned(_HEAD, rows)
    hidden = len(positions) - len(rows)
    where = f"; {hidden} lines without lag are hidden, --all shows them" if hidden else ""
    yield f"{sum(at.lag for at in positions)} records behind, all groups together{where}"


async def positions_of(access: KafkaAccess) -> list[Position]:
    """Every group in every partition of the topics it reads: what it committed, and what its service subscribes to."""
    async with cluster(access) as kafka:
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
