"""The outbox, kept as the service's journal, and the publisher that empties it.

First occurrences leave in `sequence` order per topic and subject: whoever publishes first takes *all* unsent rows of
the streams at hand, oldest first, and sends the next of a subject only after the one before was acknowledged. Two
publishers may send the same row; readers drop the second by its id.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from pymongo import ASCENDING
from pymongo.write_concern import WriteConcern

from shared.contracts import BY_EVENT, BY_TYPE, Event
from shared.contracts.base import derived_id
from shared.envelope import Cause, headers_of, source_of, traceparent_of
from shared.kafka_access import KafkaAccess
from shared.metrics import PUBLISHED, UNSENT_SECONDS
from shared.migrations import Migration, ensure_collection
from shared.mongo import Database, StoreError, translated
from shared.topics import is_from_outside

log = structlog.get_logger()

OUTBOX: Final = "outbox"
_THE_ROWS_FAULT: Final = frozenset({"MessageSizeTooLargeError", "RecordListTooLargeError"})
BATCH_BYTES: Final = 512 * 1024
"""What is sent to a partition at once; with the client's 16 KiB a full batch of ours takes dozens of round trips."""
APART_DAYS: Final = 37
"""How long the journal keeps what belongs to no case, once it was sent: as long as the inbox knows the record."""
RETRY_MS: Final = 500
"""How long the clients wait before they ask a broker again; by their default, ten times a second from several tasks, an
outage takes two to three times the CPU of an idle service."""
Row = dict[str, Any]


def row_of(event: Event, cause: Cause, index: int, stream: str | None, sequence: int, now: datetime) -> Row:
    """The row of the `index`-th event that follows from `cause`, numbered `sequence` in its stream; 0 for one apart."""
    contract = BY_EVENT[type(event)]
    topic, subject = contract.topic_of(event), contract.subject_of(event)
    id_ = derived_id(cause.id, topic, contract.type, str(index))
    return {
        "_id": id_,
        "stream": stream or subject,
        "sequence": 0 if contract.apart else sequence,
        "topic": topic,
        "subject": subject,
        "type": contract.type,
        "time": now,
        "correlation_id": cause.thread,
        "causation_id": cause.id,
        "traceparent": traceparent_of(cause.traceparent, id_[:8] + id_[9:13] + id_[14:18]),
        "data": event.model_dump_json(),
        "unsent": True,
    }


def row_told(record: ConsumerRecord, source: str) -> Row | None:
    """The row that a record was sent from, for what `source` wrote itself; None for anything else."""
    found = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    if found.get("ce_source") != source or is_from_outside(record.topic) or not record.key or not record.value:
        return None
    try:
        event = BY_TYPE[found["ce_type"]].event.model_validate_json(record.value)
        return {
            "_id": found["ce_id"],
            "stream": getattr(event, "case_id", found["ce_subject"]),
            "sequence": int(found["ce_sequence"]),
            "topic": record.topic,
            "subject": found["ce_subject"],
            "type": found["ce_type"],
            "time": datetime.fromisoformat(found["ce_time"]),
            "correlation_id": found["ce_correlationid"],
            "causation_id": found["ce_causationid"],
            "traceparent": found["ce_traceparent"],
            "data": record.value.decode(),
            "sent_at": datetime.fromtimestamp(record.timestamp / 1000, UTC),
        }
    except (KeyError, ValueError):  # written by a newer version, or by nobody we know
        return None


class Publisher:
    """Sends what the outbox holds. One a process; `publish`, the nudged and the sweep may run at the same time."""

    SWEEP_AGE: Final = timedelta(seconds=5)
    SWEEP_EVERY: Final = 2.0
    PATIENCE: Final = 5.0
    """Seconds the broker may take to acknowledge before a topic's rows are left to the sweep, and to say good-bye."""
    FIRST_LOOK: Final = 1.0
    """Seconds to wait for a topic never seen before."""
    BLOCKED_FOR: Final = 5.0
    """Seconds until the sweep tries an unwritable topic again."""
    AT_ONCE: Final = 2000
    REMEMBERED: Final = 10_000
    """Rows just sent: a majority still reads them as unsent for a moment, and nobody needs them twice."""

    def __init__(self, database: Database, access: KafkaAccess, service: str) -> None:
        self._rows = database[OUTBOX]
        self._sent = database[OUTBOX].with_options(write_concern=WriteConcern(w=1))
        self._access = access
        self._service = service
        self._source = source_of(service)
        self._blocked: dict[str, float] = {}
        self._just_sent: dict[str, None] = {}
        self._unmarked: list[str] = []
        self._marking: asyncio.Task[None] | None = None
        self._wanted: set[str] = set()
        self._wake = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to publish what is nudged and to sweep; waits until the broker answers."""
        self._producer = AIOKafkaProducer(
            **self._access.options,
            client_id=f"integrationsbuero-{self._service}",
            acks="all",
            # With idempotence the client repeats for ever what an unreachable broker does not take, and one record that
            # the broker refuses closes its partition for the rest of the process. Readers drop repetitions by id.
            enable_idempotence=False,
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=10_000,
            metadata_max_age_ms=10_000,
            retry_backoff_ms=RETRY_MS,
        )
        try:
            await until_reachable(self._producer.start, self._access)
        except asyncio.CancelledError:  # stopped before the broker was there
            await self._producer.stop()
            raise
        self._tasks = [asyncio.create_task(self._publish_nudged()), asyncio.create_task(self._sweep())]

    async def stop(self) -> None:
        """Publish what was nudged and end; rows that remain are taken by another instance or the next start."""
        if not self._tasks:
            return
        self._stopping = True
        self._wake.set()
        nudged, sweep = self._tasks
        sweep.cancel()
        await asyncio.wait({nudged}, timeout=2 * self.PATIENCE)
        nudged.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._marking is not None:
            await asyncio.wait({self._marking}, timeout=self.PATIENCE)
        try:
            async with asyncio.timeout(self.PATIENCE):
                await self._producer.stop()
        except TimeoutError:  # what it still holds is unsent in the store as well
            await self._producer.client.close()

    def nudge(self, streams: Iterable[str]) -> None:
        """Publish these streams soon, without waiting for it."""
        self._wanted.update(streams)
        self._wake.set()

    async def publish(self, streams: Collection[str]) -> None:
        """Send the unsent rows of these streams; what cannot be sent now stays for the sweep.

        A topic that could not be written is left out here until the sweep has written to it, so nobody waits for it.
        Nothing is raised: what these streams tell is stored, and whoever asked shall not do it again.
        """
        try:
            await self._publish(streams, without=list(self._blocked))
        except StoreError as error:
            log.warning("publishing_put_off", error=str(error))
        except Exception:
            log.exception("publishing_failed")

    async def _publish(self, streams: Collection[str], *, without: list[str]) -> None:
        if not streams:
            return
        query = {"unsent": True, "stream": {"$in": list(streams)}, "topic": {"$nin": without}}
        async with translated():
            rows = await self._rows.find(query).sort("sequence", ASCENDING).to_list(None)
        lanes: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            if row["_id"] not in self._just_sent:
                lanes[row["topic"]][row["subject"]].append(row)
        await asyncio.gather(*(self._send_topic(topic, list(subjects.values())) for topic, subjects in lanes.items()))

    def _blocked_topics(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        return [topic for topic, until in self._blocked.items() if until > now]

    async def _send_topic(self, topic: str, lanes: list[list[Row]]) -> None:
        """Send each lane, the rows of one subject, in order; a lane ends at the first row that is not acknowledged."""
        if await self._is_known(topic):
            while lanes:
                sent = await self._send_heads(topic, [lane[0] for lane in lanes])
                self._note_sent(topic, sent)
                lanes = [lane[1:] for lane in lanes if lane[0]["_id"] in sent and len(lane) > 1]

    async def _is_known(self, topic: str) -> bool:
        known = self._producer.client.cluster.partitions_for_topic(topic)
        try:
            async with asyncio.timeout(self.PATIENCE if known else self.FIRST_LOOK):
                await self._producer.partitions_for(topic)
        except (TimeoutError, KafkaError) as error:
            self._block(topic, type(error).__name__)
            return False
        return True

    async def _send_heads(self, topic: str, rows: list[Row]) -> set[str]:
        """The ids of the rows that the broker acknowledged."""
        refused: dict[str, int] = defaultdict(int)
        sending: dict[asyncio.Future[Any], str] = {}
        acknowledged: set[str] = set()
        give_up = asyncio.get_running_loop().time() + self.PATIENCE
        try:
            async with asyncio.timeout_at(give_up):
                for row in rows:
                    try:
                        sending[await self._send(topic, row)] = row["_id"]
                    except KafkaError as error:
                        refused[type(error).__name__] += 1
                await asyncio.gather(*sending, return_exceptions=True)
        except TimeoutError:
            self._block(topic, "TimeoutError")
        for future, id_ in sending.items():
            if not future.done():
                future.cancel()
            if future.cancelled():  # too late; the client may still send it, as a repetition
                continue
            if future.exception() is None:
                acknowledged.add(id_)
            else:
                refused[type(future.exception()).__name__] += 1
        if refused:
            log.warning("rows_refused", topic=topic, errors=dict(refused))
            if not acknowledged and not refused.keys() <= _THE_ROWS_FAULT:
                self._block(topic, *refused)
        return acknowledged

    async def _send(self, topic: str, row: Row) -> "asyncio.Future[Any]":
        headers = headers_of(row, self._source)
        sending: asyncio.Future[Any] = await self._producer.send(
            topic, row["data"].encode(), row["subject"].encode(), headers=headers
        )
        return sending

    def _block(self, topic: str, *errors: str) -> None:
        if topic in self._blocked_topics():  # several publish at the same time
            return
        self._blocked[topic] = asyncio.get_running_loop().time() + self.BLOCKED_FOR
        log.warning("topic_unwritable", topic=topic, errors=errors)

    def _note_sent(self, topic: str, ids: Collection[str]) -> None:
        """These are remembered, and marked in the store beside whatever is published next."""
        if not ids:
            return
        self._blocked.pop(topic, None)
        PUBLISHED.labels(topic).inc(len(ids))
        self._just_sent.update(dict.fromkeys(ids))
        for id_ in list(islice(self._just_sent, max(0, len(self._just_sent) - self.REMEMBERED))):
            del self._just_sent[id_]
        self._unmarked += ids
        if self._marking is None or self._marking.done():
            self._marking = asyncio.create_task(self._mark_noted())

    async def _mark_noted(self) -> None:
        while self._unmarked:
            ids, self._unmarked = self._unmarked, []
            try:
                await self._mark(ids)
            except StoreError as error:  # the sweep marks what is remembered
                log.warning("marking_put_off", error=str(error), rows=len(ids))

    async def _mark(self, ids: list[str]) -> None:
        """Note that these were sent. A crash of the store may take the note back; then the sweep repeats it."""
        if ids:
            async with translated():
                await self._sent.update_many(
                    {"_id": {"$in": ids}}, {"$unset": {"unsent": ""}, "$set": {"sent_at": datetime.now(UTC)}}
                )

    async def _publish_nudged(self) -> None:
        while not self._stopping or self._wanted:
            await self._wake.wait()
            self._wake.clear()
            wanted, self._wanted = self._wanted, set()
            await self.publish(wanted)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self.SWEEP_EVERY)
            try:
                await self._sweep_once()
            except StoreError as error:
                log.warning("sweep_put_off", error=str(error))
            except Exception:
                log.exception("sweep_failed")

    async def _sweep_once(self) -> None:
        now = datetime.now(UTC)
        async with translated():
            oldest = await self._rows.find_one({"unsent": True}, {"time": 1}, sort=[("time", ASCENDING)])
            UNSENT_SECONDS.set((now - oldest["time"]).total_seconds() if oldest else 0)
            if oldest is None or now - oldest["time"] < self.SWEEP_AGE:
                return
            late = {"unsent": True, "time": {"$lt": now - self.SWEEP_AGE}, "topic": {"$nin": self._blocked_topics()}}
            rows = await self._rows.find(late, {"stream": 1}).sort("time", ASCENDING).limit(self.AT_ONCE).to_list(None)
        await self._mark([row["_id"] for row in rows if row["_id"] in self._just_sent])
        await self._publish({row["stream"] for row in rows}, without=self._blocked_topics())


async def until_reachable(connect: Callable[[], Awaitable[None]], access: KafkaAccess) -> None:
    """Call `connect` until the broker answers; says once why it does not, and again when that is another reason."""
    told = None
    while True:
        try:
            await connect()
        except KafkaError as error:
            reason = await access.refusal() or type(error).__name__
            if reason != told:
                log.warning("broker_unreachable", reason=reason)
            told = reason
            await asyncio.sleep(1)
        else:
            return


def journal_entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as operators see it: its event decoded, and without the publisher's own mark."""
    entry = {name: value for name, value in row.items() if name not in ("_id", "unsent", "data")}
    return {"id": row["_id"], **entry, "data": json.loads(row["data"])}


async def _create(database: Database) -> None:
    await ensure_collection(database, OUTBOX)
    await database[OUTBOX].create_index([("stream", ASCENDING), ("sequence", ASCENDING)], name="by_stream")
    await database[OUTBOX].create_index("time", name="unsent_by_time", partialFilterExpression={"unsent": True})


async def _index_unsent(database: Database) -> None:
    """So that publishing reads what is to be sent and not the whole past of its cases."""
    await database[OUTBOX].create_index(
        [("stream", ASCENDING), ("sequence", ASCENDING)],
        name="unsent_by_stream",
        partialFilterExpression={"unsent": True},
    )


async def _let_go(database: Database) -> None:
    """A partner could fill the journal with rejections. Only what was sent has a `sent_at`, so nothing unsent ends."""
    await database[OUTBOX].create_index(
        "sent_at",
        name="apart_by_sent_at",
        expireAfterSeconds=APART_DAYS * 24 * 60 * 60,
        partialFilterExpression={"sequence": 0},
    )


MIGRATIONS: Final = (
    Migration("pipeline-outbox", _create),
    Migration("pipeline-outbox-unsent", _index_unsent),
    Migration("pipeline-outbox-apart", _let_go),
)
