"""`wegweiser rewind SERVICE --to TIME`: bring a service up to date after a restore of its database."""

import sys
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import typer

from shared import logs
from shared.cluster import Cluster, cluster
from shared.contracts import CONTRACTS
from shared.kafka_access import KafkaAccess
from shared.mongo import StoreError
from shared.pipeline.consumer import BATCH_BYTES
from shared.pipeline.pipeline import Pipeline
from shared.pipeline.reading import Subscription
from shared.pipeline.rewinding import Difference, Rewinding, Step
from shared.topics import ServiceName
from wegweiser.addresses import Bus, found, stop
from wegweiser.bus import ask, matching
from wegweiser.chronicle import sentence_of
from wegweiser.service import not_started
from wegweiser.spans import Span, Understand, merged


class ActiveGroupError(Exception):
    """A group has members: the service would decide the same records beside us, in another order."""

    def __init__(self, group: str) -> None:
        super().__init__(f"the group {group} has active members: stop the service first (`wegweiser stop`)")


@dataclass(frozen=True, slots=True)
class Rewound:
    """What a rewind did: the stretches it read again by group, how many events it took over, how many records took
    effect, how much it ended because nobody knows how it went, and what it cannot mend."""

    stretches: Sequence[tuple[str, Span]]
    taken_over: int
    took_effect: int
    ended: int
    difference: Difference


def rewind(
    service: Annotated[ServiceName, typer.Argument(help="which one; it must not run")],
    to: Annotated[str, typer.Option(metavar="TIME", help="with its zone: 2026-03-01T08:00+01:00")],
) -> None:
    """Bring SERVICE up to date after an older state of its database was restored; TIME is not later than that state.

    Takes over what the service told since TIME, then decides again what it read since, each record as of then; what
    was told is not told again. What the database knows takes no effect, so an earlier TIME does no harm, and a rewind
    that was broken off is typed again. Needs the settings the service runs with. What came in over HTTP is not on the
    bus in full and is only named: see docs/adr/0008-rewind-after-a-restore.md.
    """
    moment = parsed(to)
    access = found(Bus)
    logs.configure(service, "auto", sys.stderr)
    try:
        with not_started(service) as made:
            done = ask(read_again(access, made.pipeline, publishers=(service, "every service"), moment=moment))
    except ActiveGroupError as error:
        stop(str(error), code=1)
    except StoreError as error:
        stop(f"the database of {service} does not answer as expected ({error}); type the same again")
    for line in lines_of(service, done):
        typer.echo(line)


def parsed(time: str) -> datetime:
    """A moment with its zone; ends the command with one line where it is none."""
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        stop(f"{time} is no time; write one like 2026-03-01T08:00+01:00", code=1)
    if moment.tzinfo is None:
        stop(f"{time} names no zone; write {time}+01:00 or {time}Z", code=1)
    return moment


def lines_of(service: str, done: Rewound) -> Iterator[str]:
    """What was done, in plain words."""
    for group, span in done.stretches:
        where = f"{group}  {span.partition.topic}  partition {span.partition.partition}"
        yield f"{where}: {span.until - span.since} offsets read again, from {span.since}"
    if not (done.taken_over or done.took_effect or done.ended):
        yield f"nothing was missing in the database of {service}"
    else:
        yield f"{done.taken_over} events that {service} told before were taken over"
        yield f"{done.took_effect} records took effect"
    if done.ended:
        yield f"{done.ended} under way were ended as unknown: they may have happened without being told"
    if done.difference.told:
        yield "told before, but no record led to it again (it came in over HTTP, or is decided otherwise now):"
        for row in done.difference.told:
            referral = f" [referral {row['data']['referral_id']}]" if "referral_id" in row["data"] else ""
            yield f"  {row['time']:%Y-%m-%d %H:%M:%S} UTC  {row['stream']}  {sentence_of(row)}{referral}"
    if done.difference.lost:
        yield f"{len(done.difference.lost)} cases are lost: told about, but not in the database:"
        yield from (f"  {case_id}" for case_id in sorted(done.difference.lost))


async def read_again(
    access: KafkaAccess, pipeline: Pipeline[Any], *, publishers: Collection[str], moment: datetime
) -> Rewound:
    """Read what was told and what was read since this moment again, up to where the groups stand.

    The groups are left where they are, so what lies behind is the service's own to read when it starts. `publishers`
    are the names under which the contracts know it. Raises `ActiveGroupError` before anything is changed, or later
    where the service is started meanwhile.
    """
    async with cluster(access) as kafka:
        stopped = partial(_require_stopped, kafka, pipeline.subscriptions)
        await stopped()
        rewinding = await pipeline.rewinding()
        written = await _written(kafka, publishers, moment)
        stretches = [
            stretch
            for subscription in pipeline.subscriptions
            for stretch in await _read(kafka, subscription, moment, rewinding)
        ]
        await rewinding.begin()
        told = [span(rewinding.told) for span in written]
        taken_over = await _run(access, told, rewinding, pipeline.batch_records, stopped)
        spans = [span for _, span in stretches]
        if rewinding.repeats:
            spans += [span(rewinding.repeated) for span in written]
        took_effect = await _run(access, spans, rewinding, pipeline.batch_records, stopped)
        ended = await rewinding.tie_loose_ends(pipeline.batch_records)
        difference = await rewinding.finish()
    stretches = [(group, span) for group, span in stretches if span.since < span.until]
    return Rewound(stretches, taken_over, took_effect, ended, difference)


async def _require_stopped(kafka: Cluster, subscriptions: Sequence[Subscription]) -> None:
    known = await kafka.groups()
    for group in {subscription.group for subscription in subscriptions} & known:
        if await kafka.is_active(group):
            raise ActiveGroupError(group)


async def _written(kafka: Cluster, publishers: Collection[str], moment: datetime) -> list[Callable[[Understand], Span]]:
    contracts = [contract for contract in CONTRACTS if contract.publisher in publishers]
    topics = [topic for topic in await kafka.topics() if any(contract.belongs_on(topic) for contract in contracts)]
    partitions = await kafka.partitions(topics)
    since, ends = await kafka.first_since(partitions, _milliseconds(moment)), await kafka.ends(partitions)
    return [partial(Span, place, since[place], ends[place], ends[place]) for place in partitions]


async def _read(
    kafka: Cluster, subscription: Subscription, moment: datetime, rewinding: Rewinding[Any]
) -> list[tuple[str, Span]]:
    partitions = await kafka.partitions(matching(await kafka.topics(), subscription))
    committed = await kafka.committed(subscription.group) if subscription.group in await kafka.groups() else {}
    since, ends = await kafka.first_since(partitions, _milliseconds(moment)), await kafka.ends(partitions)
    understand = partial(rewinding.read, subscription)
    return [
        (
            subscription.group,
            Span(
                place,
                min(since[place], committed.get(place, since[place])),
                committed.get(place, 0),
                ends[place],
                understand,
            ),
        )
        for place in partitions
    ]


async def _run(
    access: KafkaAccess,
    spans: Sequence[Span],
    rewinding: Rewinding[Any],
    batch_records: int,
    stopped: Callable[[], Awaitable[None]],
) -> int:
    """Let all of it take effect, in batches that fit one transaction; returns how much did."""
    took_effect = 0
    batch: list[Step[Any]] = []
    size = 0
    async with aclosing(merged(access, [span for span in spans if span.since < span.end])) as steps:
        async for step in steps:
            if batch and (len(batch) == batch_records or size + step.size > BATCH_BYTES):
                await stopped()
                took_effect += await rewinding.run(batch)
                batch, size = [], 0
            batch.append(step)
            size += step.size
    if batch:
        await stopped()
        took_effect += await rewinding.run(batch)
    return took_effect


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
