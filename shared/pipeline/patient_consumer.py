"""The client as the pipeline reads with it: it never raises out of a poll, and knows what was handled."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import structlog
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata, TopicPartition

from shared.kafka_consumer import Consumer
from shared.metrics import LAG, SLOWED_DOWN
from shared.pace import Pace
from shared.pipeline.set_aside import size_of
from shared.topics import is_from_outside

log = structlog.get_logger()

POLL_SECONDS: Final = 1.0
READY_SECONDS: Final = 10.0
DRAIN_SECONDS: Final = 30.0
COMMIT_SECONDS: Final = 5.0
"""How long a commit may take; what is not committed is tried again with the next."""
BUFFER_SECONDS: Final = 60.0
"""How long fetched records may wait for the handler before the client asks for more beside them."""
_USUAL_BYTES: Final = 1024
"""Of a record; a larger one counts for several where others write."""


class PatientConsumer(Consumer):
    """The client's consumer, which never raises out of `getmany` and remembers what was handled."""

    def __init__(self, *args: Any, pace: Pace, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pace = pace
        self.handled: dict[TopicPartition, int] = {}
        """The next offset to handle, of every partition whose position is known."""
        self._uncommitted: dict[TopicPartition, int] = {}
        self.polled_at = 0.0
        self.answered_at = 0.0
        self.joined = False
        self.stopping = False
        self.idle = asyncio.Event()
        self.idle.set()
        self.telling: asyncio.Task[None] | None = None
        """Publishes what follows from the batch before, while the next takes effect."""
        self._committing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join; from then on the client fetches only when everything it has fetched is taken.

        Otherwise it asks for the emptied partitions alone while others wait here: the broker lets that request wait
        for half a second, the others' next records wait behind it, and the buffer grows with the number of partitions.
        """
        await super().start()
        self._fetcher._prefetch_backoff = BUFFER_SECONDS
        heartbeat = self._coordinator._do_heartbeat

        async def noted() -> bool:
            if answered := await heartbeat():
                self.answered_at = time.monotonic()
            return bool(answered)

        self._coordinator._do_heartbeat = noted

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Waits until there is something, so that FastStream's sleep after an empty poll never comes."""
        while True:
            self._note_positions()
            self._keep_pace()
            try:
                found = await super().getmany(*partitions, timeout_ms=timeout_ms, max_records=max_records)
            except (asyncio.CancelledError, ConsumerStoppedError):
                raise
            except Exception as error:
                log.warning("poll_failed", error=type(error).__name__)
                await asyncio.sleep(POLL_SECONDS)
                await self._start_again()
                continue
            self.polled_at = time.monotonic()
            for partition, records in self.lag().items():
                LAG.labels(*partition).set(records)
            if self.stopping:
                await asyncio.Event().wait()  # what was fetched is not handled; FastStream cancels this task
            if found:
                for partition, records in found.items():
                    self.handled.setdefault(partition, records[0].offset)
                    if is_from_outside(partition.topic):
                        self._pace.note(partition.topic, sum(1 + size_of(record) // _USUAL_BYTES for record in records))
                self.idle.clear()
                return dict(found)
            self._commit_soon()

    def _keep_pace(self) -> None:
        """Leave others' topics that have had their share at the broker for now, with what was fetched of them. Kafka's
        quotas count bytes as they are sent, and a few packed ones may be many thousand records."""
        early = {partition for partition in self.assignment() if self._pace.is_reached(partition.topic)}
        for topic in {partition.topic for partition in early - self.paused()}:
            SLOWED_DOWN.labels(topic).inc()
        self.resume(*self.paused() - early)
        self.pause(*early)

    def lag(self) -> dict[TopicPartition, int]:
        """Records between what was handled and the end, for the partitions that were asked for."""
        ends = {partition: self.highwater(partition) for partition in self.assignment() & self.handled.keys()}
        return {partition: end - self.handled[partition] for partition, end in ends.items() if end is not None}

    def put_back(self) -> None:
        """Seek to what was handled last, in every partition."""
        for partition in self.handled.keys() & self.assignment():  # of what is lost the new owner starts at the commit
            self.seek(partition, self.handled[partition])

    def _note_positions(self) -> None:
        """What lies before the positions is handled once no batch is at hand, also where it was no record: a
        transaction ends with a mark of the broker, and what was taken back is never delivered."""
        assignment = self._subscription.subscription.assignment
        if assignment is None:  # a new topic fits the pattern: the group is about to join anew
            return
        if not (self.joined and self.idle.is_set()) or _is_under_way(self.telling):
            return
        for partition, (position, _) in assignment.all_consumed_offsets().items():
            if self.handled.get(partition) != position:
                self.handled[partition] = self._uncommitted[partition] = position

    async def _start_again(self) -> None:
        """The client may have passed what it never delivered: go back, and first ask where to, until that is known."""
        while begun := self.assignment() - self.handled.keys():
            try:
                for partition in begun:
                    self.handled[partition] = await self._beginning(partition)
            except (KafkaError, IllegalStateError) as error:
                log.warning("position_unknown", error=type(error).__name__)
                await asyncio.sleep(POLL_SECONDS)
        self.put_back()

    async def _beginning(self, partition: TopicPartition) -> int:
        committed: int | None = await self.committed(partition)
        return committed if committed is not None else (await self.beginning_offsets([partition]))[partition]

    def commit_handled(self, records: Sequence[ConsumerRecord]) -> None:
        """Remember these records and commit them soon; one that comes too late is harmless, the inbox knows them."""
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            if partition in self.handled:
                self.handled[partition] = self._uncommitted[partition] = record.offset + 1
        self._commit_soon()

    def _commit_soon(self) -> None:
        if self._uncommitted and not _is_under_way(self._committing):
            self._committing = asyncio.create_task(self._commit())

    async def _commit(self) -> None:
        """Commit what is handled, also what is handled meanwhile; one at a time, so that none goes back."""
        while offsets := dict(self._uncommitted):
            wanted = {partition: OffsetAndMetadata(offset, "") for partition, offset in offsets.items()}
            try:
                async with asyncio.timeout(COMMIT_SECONDS):  # the client would go on while the broker is away
                    await self.commit(wanted)
            except (TimeoutError, KafkaError, IllegalStateError) as error:
                log.warning("commit_failed", error=type(error).__name__, partitions=len(offsets))
                return
            for partition, offset in offsets.items():
                if self._uncommitted.get(partition) == offset:
                    del self._uncommitted[partition]

    async def settled(self) -> None:
        """Wait, for so long as a drain may take, until what is at hand has taken effect, is told and committed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.idle.wait()
                await self.told()
                if self._committing is not None:
                    await asyncio.wait({self._committing})

    async def told(self) -> None:
        """Wait until what follows from the batch before is published."""
        if self.telling is not None:
            await asyncio.wait({self.telling})

    def forget(self) -> None:
        """All partitions are handed over; whoever gets them starts at the commits."""
        for partition in self.handled:
            with suppress(KeyError):  # its lag was never known here
                LAG.remove(*partition)
        self.handled.clear()
        self._uncommitted.clear()

    @property
    def is_ready(self) -> bool:
        """Joined its group, fetches, polled a moment ago, and the broker answered a moment ago."""
        if not self.joined or self._fetcher.error_future.done():
            return False
        return time.monotonic() - min(self.polled_at, self.answered_at) < READY_SECONDS


def _is_under_way(task: asyncio.Task[None] | None) -> bool:
    return task is not None and not task.done()
