"""Reading stretches of many partitions in one order, with a bounded part of each in memory."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import heapify, heappop, heapreplace
from typing import Any, Final

from aiokafka.structs import ConsumerRecord, TopicPartition

from shared.kafka_access import KafkaAccess
from shared.kafka_consumer import Consumer
from shared.pipeline.rewinding import Step

CHUNK: Final = 200
"""Records of one partition that are looked at together."""
_PATIENCE_SECONDS: Final = 1.0
"""How long to look for a record behind those a group committed; an open transaction may hide it."""
_POLL_MILLISECONDS: Final = 200

Understand = Callable[[Sequence[ConsumerRecord], datetime], Awaitable[list[Step[Any]]]]
"""Makes steps of the records that matter, in the same order, given the moment of the step before them."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one partition: from the offset `since` to before `until`, and on from there to the last record that
    something was told of, where the group had no time to commit it. `end` is the offset the next record will have."""

    partition: TopicPartition
    since: int
    until: int
    end: int
    understand: Understand


async def merged(access: KafkaAccess, spans: Sequence[Span]) -> AsyncGenerator[Step[Any], None]:
    """The steps of all spans by their `at`; within a partition in the order of the offsets, whatever they say."""
    if not spans:  # a client that is assigned nothing trips over its own end
        return
    consumer = Consumer(
        **access.options,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=_POLL_MILLISECONDS,
    )
    async with consumer:
        consumer.assign([span.partition for span in spans])
        for span in spans:
            consumer.seek(span.partition, span.since)
        lanes = [_Lane(consumer, span) for span in spans]
        heads = [(head.at, number, head) for number, lane in enumerate(lanes) if (head := await lane.next())]
        heapify(heads)
        while heads:
            _, number, step = heads[0]
            yield step
            following = await lanes[number].next()
            if following is None:
                heappop(heads)
            else:
                heapreplace(heads, (following.at, number, following))


class _Lane:
    """One span, a chunk at a time.

    A record behind `until` was decided before the restore if one behind it in its partition was: what lies between is
    passed over until such a one is found, and then read once more, so that a long tail is never held in memory.
    """

    def __init__(self, consumer: Consumer, span: Span) -> None:
        self._consumer = consumer
        self._span = span
        self._until = max(span.since, span.until)
        self._latest = datetime.min.replace(tzinfo=UTC)
        self._waiting: deque[Step[Any]] = deque()
        self._ended = False

    async def next(self) -> Step[Any] | None:
        """The next step; None at the end."""
        while not self._waiting and not self._ended:
            await self._read_on()
        return self._waiting.popleft() if self._waiting else None

    async def _read_on(self) -> None:
        records = await self._chunk()
        if not records:
            self._end()
            return
        steps = await self._span.understand(records, self._latest)
        last_told = max((step.offset for step in steps if step.told), default=-1)
        if last_told >= self._until:
            passed_over, self._until = self._until, last_told + 1
            if passed_over < records[0].offset:
                self._consumer.seek(self._span.partition, passed_over)
                return
        for step in steps:
            if step.offset < self._until:
                self._waiting.append(step)
                self._latest = step.at[0]

    async def _chunk(self) -> list[ConsumerRecord]:
        """The next records, none at the end."""
        partition, loop = self._span.partition, asyncio.get_running_loop()
        give_up = loop.time() + _PATIENCE_SECONDS
        while (position := await self._consumer.position(partition)) < self._span.end:
            found = await self._consumer.getmany(partition, timeout_ms=_POLL_MILLISECONDS, max_records=CHUNK)
            if found:
                return [record for record in found[partition] if record.offset < self._span.end]
            if position >= self._span.until and loop.time() > give_up:
                break
        return []

    def _end(self) -> None:
        self._ended = True
        self._consumer.pause(self._span.partition)  # the client would go on to fetch what nobody asks for
