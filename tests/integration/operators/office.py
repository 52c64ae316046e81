"""Routing, scheduling and notify together on real backends; intake's cases, the partners' replies and the mailboxes are
the test's own."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient
from routed import a_letter, activate, goes_by, post, some_facts
from toy.trial import eventually

from deploy.backends import Backends
from services.notify import app as notify_app
from services.notify.letters import Mail
from services.notify.persons import Person, PersonsUnavailableError
from services.routing import app as routing_app
from services.routing.agreement_files import load_agreements
from services.scheduling import app as scheduling_app
from shared import mongo
from shared.contracts import Event
from shared.contracts.base import new_id
from shared.contracts.codes import (
    AgeBand,
    Concern,
    DeclineReason,
    MessageOutcome,
    WithdrawalReason,
)
from shared.contracts.intake import CaseAmended, CaseFacts, CaseOpened, CaseWithdrawn, ConcernFacts
from shared.contracts.partners import ReplyAccepted, ReplyDeclined
from shared.pipeline.engine import utc_now
from shared.service import Service
from shared.topics import provision, topics_for
from wegweiser.lag import Position, positions_of
from wegweiser.platform import partners
from wegweiser.settings import AGREEMENTS

SERVICES: Final = {"routing": routing_app, "scheduling": scheduling_app, "notify": notify_app}
_GROUPS: Final = ("routing", "routing-replies", "scheduling", "notify")
_CODES: Final = (Concern.GERMAN_COURSE, Concern.DEBT, Concern.HOUSING_SEARCH, Concern.JOB_SEARCH, Concern.CHILDCARE)


class Mailboxes:
    """What went out, and the persons it went to; `away` while nobody knows them."""

    at_once = 20

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.away = False

    async def send(self, mail: Mail) -> MessageOutcome:
        self.mails.append(mail)
        return MessageOutcome.SENT

    async def fetch(self, ids: Collection[str]) -> Mapping[str, Person]:
        if self.away:
            raise PersonsUnavailableError("503")
        return {id_: _person(id_) for id_ in ids}

    async def close(self) -> None:
        """Nothing is open."""


def _person(id_: str) -> Person:
    return Person(
        person_id=id_, given_name="Olena", family_name="B", email=f"{id_}@example.org", may_contact_by=("email",)
    )


class Office:
    """The three services and everything around them. Cases take a random way, from `chance`."""

    def __init__(self, backends: Backends, producer: AIOKafkaProducer, mailboxes: Mailboxes, chance: Random) -> None:
        self.kafka = backends.kafka
        self.client = mongo.connect(backends.mongo)
        self.mailboxes = mailboxes
        self.later = timedelta()
        """How much later it is for routing than it is: clocks run out when this grows."""
        self._services: dict[str, Service[Any]] = {}
        self._mute: set[str] = set()
        self._producer = producer
        self._chance = chance
        self._cases: dict[str, CaseFacts] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All three run meanwhile, and have done all there is to do when this ends."""
        self._mute.clear()
        self._services = {name: app.create_app().state.service for name, app in SERVICES.items()}
        goes_by(self._services["routing"], self.now)
        await asyncio.gather(*(service.pipeline.start() for service in self._services.values()))
        for service in self._services.values():
            await asyncio.gather(*(worker.start() for worker in service._workers))
        try:
            yield
            await eventually(self.is_quiet, what="quiet", seconds=60, every=0.2)
        finally:
            for service in self._services.values():
                await asyncio.gather(*(worker.stop() for worker in service._workers))
                await service.pipeline.stop()
                service.database.client.close()

    def now(self) -> datetime:
        """The time as routing sees it."""
        return utc_now() + self.later

    def mute(self, name: str) -> None:
        """This service tells nothing until it is started again."""

        async def nothing(*_: object) -> None:
            return

        publisher: Any = self._services[name].pipeline.publisher
        publisher.publish = publisher._sweep_once = nothing
        self._mute.add(name)

    async def is_quiet(self) -> bool:
        """Everything is read and told, except by whom is mute, and no message waits, unless for persons; and nothing
        was written while this was found out."""
        before = await self._positions()
        if sum(at.lag for at in before):
            return False
        telling = SERVICES.keys() - self._mute
        unsent = [await self.client[name]["outbox"].count_documents({"unsent": True}) for name in telling]
        waiting = await self.client["notify"]["cases"].count_documents({"next_at": {"$exists": True}})
        due = await self.client["routing"]["cases"].count_documents({"next_due": {"$lte": self.now()}})
        if any(unsent) or due or (waiting and not self.mailboxes.away):
            return False
        return await self._positions() == before

    async def _positions(self) -> set[Position]:
        return {at for at in await positions_of(self.kafka) if at.group in _GROUPS}

    # what happens to cases

    async def open_case(self) -> str:
        """Somebody is referred with one to three concerns."""
        facts = some_facts(*self._chance.sample(_CODES, self._chance.choice((1, 2, 3))))
        self._cases[facts.case_id] = facts
        await self._tell("intake", CaseOpened(**dict(facts)))
        return facts.case_id

    async def offers(self) -> list[dict[str, Any]]:
        """The referrals that wait for a reply."""
        cases = [case async for case in self.client["routing"]["cases"].find()]
        return [one for case in cases for one in case["referrals"] if one["state"] == "offered"]

    async def reply(self, referral: dict[str, Any], *, accept: bool) -> None:
        """The partner says yes or no."""
        event = (
            ReplyAccepted(referral_id=referral["id"])
            if accept
            else ReplyDeclined(referral_id=referral["id"], reason=DeclineReason.CAPACITY)
        )
        await self._tell("partner", event, referral["partner_id"])

    async def something_happens(self) -> None:
        """To a random case. What the sender changes overtakes no appointment: one that comes too late leaves no trace
        on the bus, so a rewind cannot know that it did (ADR 8)."""
        offers = await self.offers()
        match self._chance.randrange(9):
            case 0 if self._cases:
                await self._quiet()
                case_id = self._chance.choice(sorted(self._cases))
                del self._cases[case_id]
                await self._tell("intake", CaseWithdrawn(case_id=case_id, reason=WithdrawalReason.BY_PERSON))
            case 1 if self._cases:
                await self._quiet()
                await self._amend(self._chance.choice(sorted(self._cases)))
            case 2 | 3:
                await self.open_case()
            case 8:
                self.later += timedelta(days=9)
            case number if offers:
                await self.reply(self._chance.choice(offers), accept=number != 4)

    async def _amend(self, case_id: str) -> None:
        facts = self._cases[case_id]
        code = self._chance.choice(_CODES)
        more = ConcernFacts(concern_id=new_id(), code=code, person_id=facts.person_id, age_band=AgeBand.ADULT)
        self._cases[case_id] = facts.model_copy(update={"concerns": (*facts.concerns, more)})
        await self._tell("intake", CaseAmended(**dict(self._cases[case_id])))

    async def travel(self, steps: int) -> None:
        """So many things happen; each may meet what the one before caused, or overtake it."""
        for _ in range(steps):
            await self.something_happens()
            if self._chance.random() < 0.3:
                await self._quiet()
        await self._quiet()

    async def _quiet(self) -> None:
        await eventually(self.is_quiet, what="quiet", seconds=60, every=0.1)

    async def _tell(self, writer: str, event: Event, partner_id: str = "") -> None:
        await post(self._producer, [a_letter(writer, event, partner_id)])

    # what is to be seen

    async def states(self) -> dict[str, Any]:
        """Every case of every service; without how often it was written, which seat it got and how sending went."""
        found: dict[str, Any] = {}
        for name in SERVICES:
            async for case in self.client[name]["cases"].find({}, {"version": 0, "sequence": 0, "traceparent": 0}):
                for part in (*case.get("messages", ()), *case.get("appointments", ())):
                    for field in ("due_at", "tries", "resource_id", "seat"):
                        part.pop(field, None)
                found[f"{name} {case['_id']}"] = case
        return found

    async def slots(self) -> list[tuple[str, datetime]]:
        """Which appointment holds a seat, and when."""
        return sorted([(row["_id"], row["starts_at"]) async for row in self.client["scheduling"]["allocations"].find()])

    async def told(self) -> dict[str, dict[str, Counter[bytes]]]:
        """Everything on the bus: by type and id, the different contents it was told with, and how often each."""
        found: dict[str, dict[str, Counter[bytes]]] = defaultdict(lambda: defaultdict(Counter))
        for record in await self._records():
            headers = dict(record.headers)
            content = json.dumps([record.topic, record.key.decode(), headers["ce_sequence"].decode()]).encode()
            found[headers["ce_type"].decode()][headers["ce_id"].decode()][content + record.value] += 1
        return found

    async def _records(self) -> list[ConsumerRecord]:
        topics = [topic.name for topic in topics_for(partners())]
        async with AIOKafkaConsumer(*topics, **self.kafka.options, auto_offset_reset="earliest") as consumer:
            ends = await consumer.end_offsets(consumer.assignment())
            found: list[ConsumerRecord] = []
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
            return found


@asynccontextmanager
async def an_office(
    backends: Backends, folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Office]:
    """An office whose topics and databases have the names they have in life, and are gone afterwards."""
    mailboxes = Mailboxes()
    monkeypatch.setattr(notify_app, "IntakePersons", lambda _: mailboxes)
    monkeypatch.setattr(notify_app, "_transport", lambda _: mailboxes)
    environment = {
        **backends.kafka.environment,
        "MONGO_URL": backends.mongo,
        "INTAKE_URL": "http://127.0.0.1:9",
        "MAIL_FROM": "office@example.org",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    topics = topics_for(partners())
    await provision(backends.kafka, topics)
    async with AIOKafkaProducer(**backends.kafka.options) as producer:
        office = Office(backends, producer, mailboxes, Random(seed))
        await activate(office.client["routing"], load_agreements(AGREEMENTS))
        yield office
    for service in ("intake", *SERVICES):
        await office.client.drop_database(service)
    office.client.close()
    admin = AIOKafkaAdminClient(**backends.kafka.options)
    await admin.start()
    try:
        await admin.delete_topics([topic.name for topic in topics])  # and what the groups committed there
    finally:
        await admin.close()
