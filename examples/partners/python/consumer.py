"""A partner's consumer, as small as it can honestly be: reads what the office asks of us and accepts all of it.

    pip install aiokafka
    KAFKA_BOOTSTRAP=127.0.0.1:29092 KAFKA_CA=ca.pem \\
    KAFKA_SASL_USERNAME=partner-awo-1 KAFKA_SASL_PASSWORD=… PARTNER_ID=awo python consumer.py

With BEHAVIOUR=serve it walks each referral to its end, with `ask` it asks back before it accepts, with `decline` it
refuses for REASON. CAPACITY is what it reports when it starts: `debt=none housing_search=waiting_list:6`.

Three habits make it safe to stop, kill and restart at any moment:
  1. Remember the `ce_id` of what was dealt with. The queue may bring an event again; the second time it is dropped.
  2. Derive the id of a reply from the event it answers. A repeated reply has the same id and takes effect once.
  3. Commit the position only after the reply was acknowledged. Whatever fails ends the program; started again,
     it goes on where it was.
"""

import asyncio
import json
import os
import signal
import sqlite3
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import CommitFailedError

PARTNER = os.environ["PARTNER_ID"]
# The office gives each partner a user, a password, and the authority that its brokers' certificates come from.
OFFICE = {
    "bootstrap_servers": os.environ["KAFKA_BOOTSTRAP"],
    "security_protocol": "SASL_SSL",
    "ssl_context": ssl.create_default_context(cafile=os.environ.get("KAFKA_CA")),
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_plain_username": os.environ["KAFKA_SASL_USERNAME"],
    "sasl_plain_password": os.environ["KAFKA_SASL_PASSWORD"],
}
STATE_FILE = os.environ.get("STATE_FILE", f"{PARTNER}.sqlite")
QUEUE = os.environ.get("QUEUE", f"partner.{PARTNER}.referrals.v1")
REPLIES = os.environ.get("REPLIES", f"partner.{PARTNER}.replies.v1")
GROUP = os.environ.get("GROUP", f"{PARTNER}.sample")
DAYS_KNOWN = 30  # the queue keeps events for 29
PREFIX, VERSION = "de.integrationsbuero.", ".v1"

# What we answer to which event. Here a real partner's system would ask its people.
BEHAVIOURS: dict[str, dict[str, tuple[str, dict[str, str]]]] = {
    "accept": {"referral.offered": ("accepted", {})},
    "decline": {"referral.offered": ("declined", {"reason": os.environ.get("REASON", "capacity")})},
    "serve": {
        "referral.offered": ("accepted", {}),
        "referral.scheduled": ("started", {}),
        "service.started": ("completed", {"outcome": "helped"}),
    },
    "ask": {
        "referral.offered": ("clarification-requested", {"topic": "documents"}),
        "clarification.requested": ("clarification-answered", {}),
        "clarification.answered": ("accepted", {}),
    },
}
ANSWERS = BEHAVIOURS[os.environ.get("BEHAVIOUR", "accept")]
AMOUNT = {"limited": "places", "waiting_list": "weeks"}


async def main() -> None:
    """Read the queue until SIGTERM or Ctrl-C."""
    stopped = asyncio.Event()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, stopped.set)
    known = sqlite3.connect(STATE_FILE, isolation_level=None)
    known.execute("CREATE TABLE IF NOT EXISTS dealt_with (id TEXT PRIMARY KEY, at REAL)")
    known.execute("DELETE FROM dealt_with WHERE at < ?", (time.time() - DAYS_KNOWN * 86400,))
    consumer = AIOKafkaConsumer(
        QUEUE,
        **OFFICE,
        group_id=GROUP,
        auto_offset_reset="earliest",  # the first start reads what has waited for us, a late one what is left
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(**OFFICE, acks="all", enable_idempotence=True)
    async with consumer, producer:
        for report in os.environ.get("CAPACITY", "").split():
            await report_capacity(report, producer)
        while not stopped.is_set():
            batch = await consumer.getmany(timeout_ms=500, max_records=100)
            for record in (record for records in batch.values() for record in records):
                try:
                    id_, type_, at, event = read(record)
                except NoEventError as error:  # it must not stop us
                    print(f"{record.topic}/{record.partition}/{record.offset}: {error}, left", flush=True)
                else:
                    await deal_with(id_, type_, at, event, producer, known)
            if batch:
                with suppress(CommitFailedError):  # another of our instances took over: it drops what we dealt with
                    await consumer.commit()
    known.close()


class NoEventError(Exception):
    """A record that is no event of the office."""


def read(record: ConsumerRecord) -> tuple[str, str, str, dict[str, Any]]:
    """Id, type and time, which are headers, and the payload."""
    try:
        headers = {name: value.decode() for name, value in record.headers}
        id_, type_, at = str(UUID(headers["ce_id"])), headers["ce_type"], headers["ce_time"]
        event = json.loads(record.value)
    except (KeyError, ValueError, AttributeError, TypeError) as error:  # the last two where there is no value
        raise NoEventError("no event of the office") from error
    if not isinstance(event, dict):
        raise NoEventError("no object")
    if type_.removeprefix(PREFIX).removesuffix(VERSION) in ANSWERS and not isinstance(event.get("referral_id"), str):
        raise NoEventError("about no referral")
    return id_, type_, at, event


async def deal_with(
    id_: str, type_: str, at: str, event: dict[str, Any], producer: AIOKafkaProducer, known: sqlite3.Connection
) -> None:
    """Answer what we have an answer to; of everything else only take note."""
    name = type_.removeprefix(PREFIX)
    said = f"{at} {PARTNER} {name} {event.get('referral_id') or json.dumps(event)}"
    if known.execute("SELECT 1 FROM dealt_with WHERE id = ?", (id_,)).fetchone():
        print(said, "- known already, dropped", flush=True)
        return
    if answering := ANSWERS.get(name.removesuffix(VERSION)):
        answer, facts = answering
        await reply(answer, {"referral_id": event["referral_id"], **facts}, id_, producer)
        concerns = ", ".join(concern["code"] for concern in event.get("concerns", []))
        said += f" - {concerns}: {answer}" if concerns else f" - {answer}"
    known.execute("INSERT OR IGNORE INTO dealt_with VALUES (?, ?)", (id_, time.time()))  # two of us may share the file
    print(said, flush=True)


async def reply(answer: str, facts: dict[str, str], event_id: str, producer: AIOKafkaProducer) -> None:
    """Write about a referral, under an id that follows from the event it answers."""
    type_ = f"{PREFIX}reply.{answer}{VERSION}"
    await write(type_, str(uuid5(UUID(event_id), type_)), facts["referral_id"], facts, producer)


async def report_capacity(report: str, producer: AIOKafkaProducer) -> None:
    """Tell how much of one field of work we can take from now on. It answers nothing, so its id is a new one."""
    code, _, capacity = report.partition("=")
    status, _, amount = capacity.partition(":")
    facts: dict[str, str | int] = {"partner_id": PARTNER, "code": code, "status": status}
    if amount:
        facts[AMOUNT[status]] = int(amount)  # places left, or weeks to wait
    await write(f"{PREFIX}capacity.reported{VERSION}", str(uuid4()), PARTNER, facts, producer)
    print(f"{datetime.now(UTC).isoformat()} {PARTNER} capacity reported - {code}: {capacity}", flush=True)


async def write(type_: str, id_: str, subject: str, facts: Mapping[str, str | int], producer: AIOKafkaProducer) -> None:
    """Write an event and wait until the broker has it. Its key, what it is about, keeps events in order."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": id_,
        "ce_source": f"/partner/{PARTNER}",
        "ce_type": type_,
        "ce_subject": subject,
        "ce_time": datetime.now(UTC).isoformat(),
        "content-type": "application/json",
    }
    await producer.send_and_wait(
        REPLIES,
        json.dumps(facts).encode(),
        key=subject.encode(),
        headers=[(name, value.encode()) for name, value in headers.items()],
    )


if __name__ == "__main__":
    asyncio.run(main())
