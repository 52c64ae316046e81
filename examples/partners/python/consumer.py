"""A partner's consumer, as small as it can honestly be: reads what the office asks of us and accepts all of it.

    pip install aiokafka
    KAFKA_BOOTSTRAP=127.0.0.1:29092 PARTNER_ID=awo python consumer.py

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
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID, uuid5

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import CommitFailedError

BROKER = os.environ["KAFKA_BOOTSTRAP"]
PARTNER = os.environ["PARTNER_ID"]
STATE_FILE = os.environ.get("STATE_FILE", f"{PARTNER}.sqlite")
QUEUE = f"partner.{PARTNER}.referrals.v1"
REPLIES = f"partner.{PARTNER}.replies.v1"
OFFERED = "de.integrationsbuero.referral.offered.v1"
ACCEPTED = "de.integrationsbuero.reply.accepted.v1"


async def main() -> None:
    """Read the queue until SIGTERM or Ctrl-C."""
    stopped = asyncio.Event()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, stopped.set)
    known = sqlite3.connect(STATE_FILE, isolation_level=None)
    known.execute("CREATE TABLE IF NOT EXISTS known (id TEXT PRIMARY KEY)")
    consumer = AIOKafkaConsumer(
        QUEUE,
        bootstrap_servers=BROKER,
        group_id=f"{PARTNER}.sample",
        auto_offset_reset="earliest",  # the first start reads what has waited for us
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=BROKER, acks="all", enable_idempotence=True)
    async with consumer, producer:
        while not stopped.is_set():
            batch = await consumer.getmany(timeout_ms=500, max_records=100)
            for record in (record for records in batch.values() for record in records):
                try:
                    await deal_with(record, producer, known)
                except (KeyError, ValueError, AttributeError) as error:  # no event of the office: it must not stop us
                    print(
                        f"{record.topic}/{record.partition}/{record.offset}: {type(error).__name__}, left", flush=True
                    )
            if batch:
                with suppress(CommitFailedError):  # another of our instances took over: it drops what we dealt with
                    await consumer.commit()
    known.close()


async def deal_with(record: ConsumerRecord, producer: AIOKafkaProducer, known: sqlite3.Connection) -> None:
    """Answer an offer; of everything else only take note. The CloudEvents attributes are in the headers."""
    headers = {name: value.decode() for name, value in record.headers}
    id_, type_, event = headers["ce_id"], headers["ce_type"], json.loads(record.value)
    said = (
        f"{headers['ce_time']} {PARTNER} {type_.removeprefix('de.integrationsbuero.')} {event.get('referral_id', '')}"
    )
    if known.execute("SELECT 1 FROM known WHERE id = ?", (id_,)).fetchone():
        print(said, "- known already, dropped", flush=True)
        return
    if type_ == OFFERED:
        # Here a real partner's system would ask its people. To refuse, send reply.declined.v1 with a reason.
        await accept(event["referral_id"], id_, producer)
        said += f" - {', '.join(concern['code'] for concern in event['concerns'])}: accepted"
    known.execute("INSERT INTO known VALUES (?)", (id_,))
    print(said, flush=True)


async def accept(referral_id: str, offer_id: str, producer: AIOKafkaProducer) -> None:
    """Write the reply and wait until the broker has it. Its key is the referral, which keeps replies in order."""
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(uuid5(UUID(offer_id), ACCEPTED)),
        "ce_source": f"/partner/{PARTNER}",
        "ce_type": ACCEPTED,
        "ce_subject": referral_id,
        "ce_time": datetime.now(UTC).isoformat(),
        "content-type": "application/json",
    }
    await producer.send_and_wait(
        REPLIES,
        json.dumps({"referral_id": referral_id}).encode(),
        key=referral_id.encode(),
        headers=[(name, value.encode()) for name, value in headers.items()],
    )


if __name__ == "__main__":
    asyncio.run(main())
