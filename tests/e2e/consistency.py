"""Reads every topic, every database and the mailbox of a platform at rest, and states every broken promise."""

import asyncio
import email
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.structs import ConsumerRecord
from faults.checker import bus_violated

from e2e.bus import every_record
from e2e.platforms import Running
from shared import mongo
from shared.mongo import Database
from shared.topics import SERVICES, is_from_outside
from wegweiser.lag import positions_of

Document = dict[str, Any]
Told = Counter[tuple[str, str]]
"""How often something happened: first occurrences by kind of event and the id it is about."""

_PAUSE_SECONDS = 0.5
_IDS = ("message_id", "referral_id", "rejection_id", "record_id", "case_id")


@dataclass(frozen=True)
class Accepted:
    """A case that intake answered for, and the state in which the concern of each code is to end."""

    case_id: str
    ends: Mapping[str, str]


@dataclass(frozen=True)
class Store:
    """What one service keeps."""

    cases: Mapping[str, Document]
    outbox: Sequence[Document]
    aside: Sequence[Document]


@dataclass(frozen=True)
class Everything:
    """All there is to read."""

    stores: Mapping[str, Store]
    allocations: Sequence[Document]
    records: Sequence[ConsumerRecord]
    mails: Counter[str]

    @property
    def referrals(self) -> dict[str, Document]:
        return {one["id"]: one for case in self.stores["routing"].cases.values() for one in case["referrals"]}

    @property
    def appointments(self) -> list[tuple[str, Document]]:
        """Each with its case, the cancelled ones included."""
        cases = self.stores["scheduling"].cases
        return [(id_, appointment) for id_, case in cases.items() for appointment in case["appointments"]]

    @property
    def messages(self) -> list[Document]:
        return [message for case in self.stores["notify"].cases.values() for message in case["messages"]]


async def violations(running: Running, accepted: Sequence[Accepted], *, patience: float) -> list[str]:
    """Wait until everything has come to rest, `patience` seconds at most; empty if every promise was kept."""
    give_up = time.monotonic() + patience
    async with databases(running) as found:
        while moving := await still_moving(found, accepted) or await behind(running):
            if time.monotonic() > give_up:
                return moving
            await asyncio.sleep(_PAUSE_SECONDS)
        return promises_broken(await everything(running, found), accepted)


@asynccontextmanager
async def databases(running: Running) -> AsyncIterator[Mapping[str, Database]]:
    """The database of each service."""
    client = mongo.connect(running.platform.backends.mongo)
    try:
        yield {service: client[service] for service in SERVICES}
    finally:
        client.close()


async def still_moving(found: Mapping[str, Database], accepted: Sequence[Accepted]) -> list[str]:
    """What has not reached an end yet, as the stores have it."""
    cases = await _cases_of(found["intake"])
    moving = [line for case in accepted for line in _ends_missed(case, cases.get(case.case_id))]
    messages = [message async for case in found["notify"]["cases"].find() for message in case["messages"]]
    moving += [f"message {one['id']} is {one['state']}" for one in messages if one["state"] in ("pending", "sending")]
    for service, database in found.items():
        if unsent := await database["outbox"].count_documents({"unsent": True}):
            moving.append(f"{service} has {unsent} unsent rows")
    return moving


async def behind(running: Running) -> list[str]:
    """What waits on the bus. Asked after the stores it leaves nothing out: offsets are committed last."""
    positions = await positions_of(running.kafka)
    return [f"{at.group} is {at.lag} behind in {at.topic}/{at.partition}" for at in positions if at.lag]


async def everything(running: Running, found: Mapping[str, Database]) -> Everything:
    """Read it all."""
    stores = {
        service: Store(
            cases=await _cases_of(database),
            outbox=[row async for row in database["outbox"].find()],
            aside=[row async for row in database["set_aside"].find()],
        )
        for service, database in found.items()
    }
    return Everything(
        stores=stores,
        allocations=[row async for row in found["scheduling"]["allocations"].find()],
        records=await every_record(running.kafka),
        mails=Counter(map(_message_of, running.mails)),
    )


def promises_broken(seen: Everything, accepted: Sequence[Accepted]) -> list[str]:
    """A line for each."""
    return [
        *cases_violated(seen, accepted),
        *referrals_violated(seen, told_of(seen.records)),
        *appointments_violated(seen),
        *messages_violated(seen, told_of(seen.records)),
        *journals_violated(seen),
    ]


def cases_violated(seen: Everything, accepted: Sequence[Accepted]) -> Iterator[str]:
    """Each accepted case is there once and at its end, nothing else is, and intake and routing agree about it."""
    cases = seen.stores["intake"].cases
    for case_id, count in Counter(case.case_id for case in accepted).items():
        if count > 1:
            yield f"{case_id} was the answer to {count} different requests"
    for case_id in cases.keys() - {case.case_id for case in accepted}:
        yield f"{case_id} was opened, and nobody was told"
    for case in accepted:
        yield from _ends_missed(case, cases.get(case.case_id))
    for case_id, case in cases.items():
        routed = seen.stores["routing"].cases.get(case_id)
        if routed is None or [_standing(referral) for referral in routed["referrals"]] != case["standings"]:
            yield f"{case_id} stands otherwise with routing than with intake"


def referrals_violated(seen: Everything, told: Told) -> Iterator[str]:
    """Each referral was offered, accepted, booked, scheduled and taken back once where it was, and never else."""
    wanted: Told = Counter()
    for case in seen.stores["intake"].cases.values():
        wanted["case.opened", case["_id"]] = 1
        wanted["case.withdrawn", case["_id"]] = int(case["withdrawn"] is not None)
    too_late = 0
    for id_, referral in seen.referrals.items():
        if referral["unplaced"]:
            wanted["referral.unplaced", id_] = 1
            continue
        taken_back = referral["state"] == "withdrawn"
        accepted = min(told["referral.accepted", id_], 1) if taken_back else 1
        too_late += 1 - accepted
        wanted["referral.offered", id_] = wanted["reply.accepted", id_] = 1
        wanted["referral.accepted", id_] = wanted["appointment.booked", id_] = accepted
        wanted["referral.scheduled", id_] = min(told["referral.scheduled", id_], accepted) if taken_back else 1
        wanted["referral.withdrawn", id_] = int(taken_back)
        wanted["appointment.cancelled", id_] = int(taken_back and accepted)
    counted = ("case.opened", "case.withdrawn", "referral.", "reply.accepted", "appointment.")
    for (kind, id_), count in (told | wanted).items():
        if kind.startswith(counted) and told[kind, id_] != wanted[kind, id_]:
            yield f"{kind} of {id_} happened {told[kind, id_]} times instead of {wanted[kind, id_]}, at most {count}"
    rejected = sum(count for (kind, _), count in told.items() if kind == "reply.rejected")
    if rejected != too_late:
        yield f"{rejected} replies were rejected, but {too_late} came too late"


def appointments_violated(seen: Everything) -> Iterator[str]:
    """A referral has one appointment at most, exactly the scheduled ones have a standing one, and it has its slot."""
    for referral_id, count in Counter(appointment["referral_id"] for _, appointment in seen.appointments).items():
        if count > 1:
            yield f"referral {referral_id} has {count} appointments"
    standing = {one["id"]: (case_id, one) for case_id, one in seen.appointments if not one["cancelled"]}
    booked = {
        referral["booking"]["appointment_id"]: (referral["id"], referral["booking"]["starts_at"], referral["state"])
        for referral in seen.referrals.values()
        if referral["booking"]
    }
    yield from _differences(
        "appointment",
        {id_: (one["referral_id"], one["starts_at"], "scheduled") for id_, (_, one) in standing.items()},
        booked,
    )
    slots = {
        id_: (case_id, one["resource_id"], one["starts_at"], one["seat"]) for id_, (case_id, one) in standing.items()
    }
    allocated = {
        row["_id"]: (row["case_id"], row["resource_id"], row["starts_at"], row["seat"]) for row in seen.allocations
    }
    yield from _differences("slot of appointment", slots, allocated)
    for slot, count in Counter(slot[1:] for slot in allocated.values()).items():
        if count > 1:
            yield f"slot {slot} is given to {count}"


def messages_violated(seen: Everything, told: Told) -> Iterator[str]:
    """A message for each appointment, settled once, and one mail exactly where it is `sent`, two never."""
    about = Counter(message["appointment_id"] for message in seen.messages)
    appointments = {appointment["id"]: appointment for _, appointment in seen.appointments}
    yield from _differences("messages about", dict.fromkeys(appointments, 1), dict(about))
    for id_ in seen.mails.keys() - {message["id"] for message in seen.messages}:
        yield f"a mail went out for {id_}, which is no message"
    for message in seen.messages:
        id_, state, mails = message["id"], message["state"], seen.mails[message["id"]]
        cancelled = appointments.get(message["appointment_id"], {}).get("cancelled")
        if state not in ("sent", "unknown", "no_channel") and not (state == "cancelled" and cancelled):
            yield f"message {id_} ended as {state}"
        if mails > 1 or (mails != (state == "sent") and state != "unknown"):
            yield f"message {id_} is {state} and went out {mails} times"
        if told["message.settled", id_] != (state != "cancelled"):
            yield f"message {id_} is {state} and was settled {told['message.settled', id_]} times"


def journals_violated(seen: Everything) -> Iterator[str]:
    """The bus carries each journal in order and nothing else, no number is missing, nothing waits or is set aside."""
    on_bus: dict[str, list[ConsumerRecord]] = defaultdict(list)
    in_journal: dict[str, list[Document]] = defaultdict(list)
    for record in seen.records:
        if not is_from_outside(record.topic):
            on_bus[record.topic].append(record)
    for service, store in seen.stores.items():
        numbers: dict[str, list[int]] = defaultdict(list)
        for row in store.outbox:
            in_journal[row["topic"]].append(row)
            numbers[row["stream"]].append(row["sequence"])
            if "unsent" in row:
                yield f"{service}: row {row['_id']} was never sent"
        for id_, case in store.cases.items():
            if sorted(numbers[id_]) != list(range(1, case["sequence"] + 1)):
                yield f"{service}: {id_} has the numbers {sorted(numbers[id_])} and counts to {case['sequence']}"
        for row in store.aside:
            yield f"{service} has set aside {row['topic']}/{row['partition']}/{row['offset']}: {row['reason']}"
    for topic in on_bus.keys() | in_journal.keys():
        yield from bus_violated(topic, on_bus[topic], in_journal[topic])


def told_of(records: Sequence[ConsumerRecord]) -> Told:
    """First occurrences, by the kind of event without the prefix and version of its type."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for record in records:
        headers = dict(record.headers)
        kind = headers["ce_type"].decode().removeprefix("de.integrationsbuero.").removesuffix(".v1")
        event = json.loads(record.value)
        id_ = next(event[name] for name in _IDS if name in event)
        first.setdefault((record.topic, headers["ce_id"].decode()), (kind, id_))
    return Counter(first.values())


def _ends_missed(accepted: Accepted, case: Document | None) -> list[str]:
    if case is None:
        return [f"{accepted.case_id} was accepted and is lost"]
    ends = {
        concern["code"]: [one["state"] for one in case["standings"] if concern["concern_id"] in one["concerns"]]
        for concern in case["concerns"]
    }
    wanted = {code: [state] for code, state in accepted.ends.items()}
    return [] if ends == wanted else [f"{accepted.case_id} is at {ends} instead of {wanted}"]


def _standing(referral: Document) -> Document:
    """A referral as routing tells it."""
    told = {name: referral[name] for name in ("partner_id", "state", "concerns", "since", "outcome", "sheet")}
    starts_at = referral["booking"]["starts_at"] if referral["booking"] else None
    overdue = bool(referral["clock"] and referral["clock"]["kind"] == "grace")
    return {"referral_id": referral["id"], **told, "appointment_at": starts_at, "overdue": overdue}


def _differences(what: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for id_ in wanted.keys() | found.keys():
        if wanted.get(id_) != found.get(id_):
            yield f"{what} {id_}: {found.get(id_)} instead of {wanted.get(id_)}"


def _message_of(mail: Path) -> str:
    id_: str = email.message_from_bytes(mail.read_bytes())["Message-ID"]
    return id_.strip("<>").partition("@")[0]


async def _cases_of(database: Database) -> dict[str, Document]:
    return {case["_id"]: case async for case in database["cases"].find()}
