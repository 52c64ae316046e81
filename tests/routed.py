"""Routing's topics and database under the names they have in life: hands to write what it reads, eyes to read the rest.

Routing itself runs in this process (`an_instance`) or in others (`faults.instances`).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord, RecordMetadata
from pymongo import UpdateOne

from deploy.backends import Backends
from services.routing.agreement_store import MIGRATIONS, AgreementStore
from services.routing.app import create_app
from services.routing.domain.agreement import Agreement, Closure, Partner, Rule
from services.routing.domain.case import Referral, RoutedCase
from services.routing.repository import CaseDocuments
from services.routing.settings import RoutingSettings
from shared import mongo
from shared.contracts import BY_EVENT, Event
from shared.contracts.base import new_id
from shared.contracts.codes import AgeBand, AppointmentMode, Concern, LegalBasisKind, Municipality, Urgency
from shared.contracts.intake import CaseFacts, CaseOpened, ConcernFacts, LegalBasis
from shared.contracts.scheduling import AppointmentBooked
from shared.envelope import headers_of, new_traceparent, source_of, source_of_partner
from shared.migrations import migrate
from shared.mongo import Database
from shared.pipeline.outbox import OUTBOX
from shared.service import Service
from shared.topics import provision, topics_for
from wegweiser.lag import positions_of

Document = dict[str, Any]
GROUPS: Final = ("routing", "routing-replies")
PARTNERS: Final = ("alpha", "beta", "gamma")
ALL_THREE, ONLY_ALPHA, BETA_HANDS_ON = Concern.GENERAL, Concern.DEBT, Concern.HOUSING_SEARCH
"""Fields of work: whoever takes the first has two others to follow."""


def an_agreement(*, ends: date | None = None, closed: Sequence[Closure] = ()) -> Agreement:
    """Three partners and no office, in force since a month ago; it ends in a year unless told otherwise."""
    today = datetime.now(UTC).date()
    place: Mapping[str, Any] = {"places": ("integrationsbuero",), "needs": frozenset(), "closed": tuple(closed)}
    what: Mapping[str, Any] = {"basis": "assumption", "why": "a trial"}
    return Agreement(
        version="2017-01-09",
        valid_from=today - timedelta(days=30),
        valid_to=ends or today + timedelta(days=365),
        partners=tuple(Partner(id=id_, name=id_, response_days=3, grace_days=2, **place) for id_ in PARTNERS),
        rules=(
            Rule(id="all-three", fields=(ALL_THREE,), takers=PARTNERS, **what),
            Rule(id="only-alpha", fields=(ONLY_ALPHA,), takers=("alpha",), **what),
            Rule(id="beta-hands-on", fields=(BETA_HANDS_ON,), takers=("beta",), hand_on_to=("gamma",), **what),
        ),
        **what,
    )


def some_facts(*codes: Concern) -> CaseFacts:
    """A case of one adult, received now, with one concern for each code."""
    person = new_id()
    return CaseFacts(
        case_id=new_id(),
        person_id=person,
        received_at=datetime.now(UTC),
        municipality=Municipality.HOFHEIM,
        languages=("uk",),
        urgency=Urgency.NORMAL,
        legal_basis=LegalBasis(kind=LegalBasisKind.PUBLIC_TASK),
        concerns=tuple(
            ConcernFacts(concern_id=new_id(), code=code, person_id=person, age_band=AgeBand.ADULT) for code in codes
        ),
    )


@dataclass(frozen=True)
class Letter:
    """An event as its writer puts it on the bus."""

    topic: str
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


def a_letter(writer: str, event: Event, partner_id: str = "", *, id_: str | None = None, **attributes: str) -> Letter:
    """The event in binary mode; `attributes` replace those of the envelope."""
    contract = BY_EVENT[type(event)]
    id_ = id_ or new_id()
    row = {
        "_id": id_,
        "type": contract.type,
        "subject": contract.subject_of(event),
        "time": datetime.now(UTC),
        "sequence": 1,
        "correlation_id": id_,
        "causation_id": id_,
        "traceparent": new_traceparent(),
    }
    headers = dict(headers_of(row, source_of_partner(partner_id) if writer == "partner" else source_of(writer)))
    headers |= {f"ce_{name}": said.encode() for name, said in attributes.items()}
    topic = contract.topic.format(partner_id=partner_id)
    return Letter(topic, row["subject"].encode(), event.model_dump_json().encode(), list(headers.items()))


def structured(letter: Letter) -> Letter:
    """The same in CloudEvents' structured mode."""
    attributes = {name[3:]: said.decode() for name, said in letter.headers if name.startswith("ce_")}
    value = json.dumps({**attributes, "data": json.loads(letter.value)}).encode()
    return Letter(letter.topic, letter.key, value, [("content-type", b"application/cloudevents+json; charset=utf-8")])


async def post(producer: AIOKafkaProducer, letters: Iterable[Letter]) -> list[RecordMetadata]:
    """Put them on the bus; returns where they are when the broker has them all."""
    sent = [
        await producer.send(letter.topic, letter.value, letter.key, headers=list(letter.headers)) for letter in letters
    ]
    return list(await asyncio.gather(*sent))


class Routed:
    """Made by `routed`."""

    def __init__(self, backends: Backends, producer: AIOKafkaProducer) -> None:
        self.backends = backends
        self.client = mongo.connect(backends.mongo)
        self.database: Database = self.client["routing"]
        self._documents = CaseDocuments(self.database)
        self._producer = producer

    # what routing reads

    async def write(self, *letters: Letter) -> list[RecordMetadata]:
        """Put them on the bus; returns where they are."""
        return await post(self._producer, letters)

    async def open_cases(self, number: int, *codes: Concern) -> list[str]:
        """So many people are referred; returns the cases' ids."""
        opened = [CaseOpened(**dict(some_facts(*codes))) for _ in range(number)]
        await self.write(*(a_letter("intake", event) for event in opened))
        return [event.case_id for event in opened]

    async def reply(self, partner_id: str, *replies: Event) -> None:
        """What a partner says."""
        await self.write(*(a_letter("partner", reply, partner_id) for reply in replies))

    async def book(self, case: RoutedCase, referral: Referral) -> None:
        """Scheduling found a slot."""
        assert referral.partner_id is not None
        booked = AppointmentBooked(
            case_id=case.id,
            referral_id=referral.id,
            partner_id=referral.partner_id,
            appointment_id=new_id(),
            person_id=case.facts.person_id,
            starts_at=datetime.now(UTC) + timedelta(days=7),
            minutes=30,
            place="integrationsbuero",
            mode=AppointmentMode.ON_SITE,
            languages=(),
        )
        await self.write(a_letter("scheduling", booked))

    async def let_run_out(self, cases: Collection[str], *kinds: str) -> int:
        """The running clocks of these kinds come due now; returns how many there were.

        What another wrote meanwhile is left alone: its clock runs.
        """
        now = datetime.now(UTC)
        found = self.database["cases"].find({"_id": {"$in": list(cases)}, "referrals.clock.kind": {"$in": list(kinds)}})
        changes, number = [], 0
        async for case in found:
            for referral in case["referrals"]:
                clock = referral.get("clock")
                if clock and clock["kind"] in kinds and clock["at"] > now:
                    clock["at"] = now
                    number += 1
            change = {"referrals": case["referrals"], "next_due": now}
            changes.append(UpdateOne({"_id": case["_id"], "version": case["version"]}, {"$set": change}))
        if changes:
            await self.database["cases"].bulk_write(changes, ordered=False)
        return number

    # what came of it

    async def cases(self, ids: Collection[str]) -> list[RoutedCase]:
        """As they are stored, in the order of the ids."""
        found = await self._documents.load(ids)
        return [found[id_] for id_ in ids if id_ in found]

    async def all_stand(self, ids: Collection[str], *states: str) -> list[RoutedCase]:
        """The cases if each has had exactly these states in its referrals, else nothing."""
        found = await self.cases(ids)
        as_wanted = [tuple(one.state for one in case.referrals) == states for case in found]
        return found if all(as_wanted) and len(found) == len(ids) else []

    async def state(self) -> Mapping[str, Document]:
        """Every case and report of capacity, without what a look at it changes."""
        return {
            f"{name} {document['_id']}": document
            for name in ("cases", "capacities", "taken_places", "explanations")
            async for document in self.database[name].find()
        }

    async def rows(self) -> list[Document]:
        """The journal."""
        return [row async for row in self.database[OUTBOX].find()]

    async def records(self, *topics: str) -> list[ConsumerRecord]:
        """Everything on these topics, or on all that routing writes; each partition in order."""
        wanted = topics or ("routing.referrals.v1", "routing.alerts.v1", *map(queue_of, PARTNERS))
        kafka = self.backends.kafka
        async with AIOKafkaConsumer(*wanted, **kafka.options, auto_offset_reset="earliest") as bus:
            ends = await bus.end_offsets(bus.assignment())
            found: list[ConsumerRecord] = []
            while any([await bus.position(partition) < end for partition, end in ends.items()]):
                for records in (await bus.getmany(timeout_ms=200)).values():
                    found += records
            return found

    async def at_rest(self, now: datetime | None = None) -> bool:
        """Everything is read and told, and no clock is due, as of another time where one is given."""
        if sum(at.lag for at in await positions_of(self.backends.kafka) if at.group in GROUPS):
            return False
        due = await self.database["cases"].count_documents({"next_due": {"$lte": now or datetime.now(UTC)}})
        return not due and not await self.database[OUTBOX].count_documents({"unsent": True})


def queue_of(partner_id: str) -> str:
    """Where a partner reads."""
    return f"partner.{partner_id}.referrals.v1"


def said_by(records: Iterable[ConsumerRecord]) -> Mapping[str, tuple[str, Document]]:
    """By `ce_id` the type, without prefix and version, and the payload of each event: repetitions count once."""
    found = {}
    for record in records:
        headers = dict(record.headers)
        type_ = headers["ce_type"].decode().removeprefix("de.integrationsbuero.").removesuffix(".v1")
        found[headers["ce_id"].decode()] = (type_, json.loads(record.value))
    return found


async def activate(database: Database, agreements: Iterable[Agreement]) -> None:
    """Let these agreements count, before routing is there to ask."""
    await migrate(database, MIGRATIONS)
    for agreement in agreements:
        await AgreementStore(database).activate(agreement, datetime.now(UTC))


@asynccontextmanager
async def routed(backends: Backends, agreement: Agreement) -> AsyncIterator[Routed]:
    """Routing's topics and a database in which this agreement counts; all gone afterwards."""
    topics = topics_for(PARTNERS)
    await provision(backends.kafka, topics)
    async with AIOKafkaProducer(**backends.kafka.options, acks="all", linger_ms=2) as producer:
        made = Routed(backends, producer)
        await activate(made.database, [agreement])
        yield made
    await made.client.drop_database(made.database.name)
    made.client.close()
    admin = AIOKafkaAdminClient(**backends.kafka.options)
    await admin.start()
    try:
        await admin.delete_topics([topic.name for topic in topics])  # and what the groups committed there
    finally:
        await admin.close()


def an_instance(backends: Backends, *, per_second: int = 100) -> Service[Any]:
    """A routing that was not started; it takes so many replies of a partner a second."""
    pace = {"partner_records_per_second": per_second}
    settings = RoutingSettings(**dict(backends.kafka), mongo_url=backends.mongo, **pace)
    service: Service[Any] = create_app(settings).state.service
    return service


def goes_by(service: Service[Any], clock: Callable[[], datetime]) -> None:
    """This routing, which was not started, takes the time from here."""
    for sees_the_time in (service.pipeline._engine, *service._workers):
        sees_the_time._clock = clock  # type: ignore[union-attr]


@asynccontextmanager
async def running(*instances: Service[Any]) -> AsyncIterator[None]:
    """They run meanwhile."""
    await asyncio.gather(*(instance.pipeline.start() for instance in instances))
    workers = [worker for instance in instances for worker in instance._workers]
    await asyncio.gather(*(worker.start() for worker in workers))
    try:
        yield
    finally:
        await asyncio.gather(*(worker.stop() for worker in workers))
        await asyncio.gather(*(instance.pipeline.stop() for instance in instances))
        for instance in instances:
            instance.database.client.close()
