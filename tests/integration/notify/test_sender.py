"""From a booked appointment to a mail in a real mailbox, at most once, whatever breaks in between."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from mail_server import MailServer
from motor.motor_asyncio import AsyncIOMotorClientSession
from pymongo.errors import AutoReconnect

from services.notify.domain import NotifiedCase
from services.notify.handlers import on_appointment_booked, on_appointment_cancelled
from services.notify.letters import Letters, Mail, load_places
from services.notify.persons import Person, PersonsUnavailableError
from services.notify.repository import NotifiedCases
from services.notify.sender import Pace, Sender
from services.notify.settings import PLACES
from services.notify.transport import CountingTransport, SmtpTransport, Transport
from shared import mongo
from shared.contracts import Event
from shared.contracts.base import derived_id
from shared.contracts.codes import CancellationReason, MessageOutcome
from shared.contracts.scheduling import AppointmentBooked, AppointmentCancelled
from shared.envelope import Cause
from shared.mongo import Database, UnavailableError
from shared.pipeline.decisions import Command, Outcome, Reaction, Received
from shared.pipeline.engine import Engine

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
LEASE = timedelta(minutes=3)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class FakePersons:
    """Knows everybody by a number, except `unknown`; is away when told so."""

    def __init__(self) -> None:
        self.away = False
        self.may_contact_by: tuple[str, ...] = ("email",)
        self.unknown: set[str] = set()
        self.asked_for: list[int] = []

    async def fetch(self, ids: Collection[str]) -> Mapping[str, Person]:
        self.asked_for.append(len(ids))
        if self.away:
            raise PersonsUnavailableError("503")
        return {
            id_: Person(
                person_id=id_,
                given_name="Özlem",
                family_name="Işık",
                email=f"{id_}@example.org",
                may_contact_by=self.may_contact_by,
                languages=("ar",),
            )
            for id_ in ids
            if id_ not in self.unknown
        }

    async def close(self) -> None:
        """Nothing is open."""


class Office:
    """Notify on one database, with a sender for each instance a test asks for."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        self.persons = FakePersons()
        self.cases = NotifiedCases(database)
        self.engine = Engine(database, self.cases, clock=self.clock)

    async def handle(self, commands: Sequence[Command[NotifiedCase]]) -> list[Outcome[NotifiedCase]]:
        outcomes, _ = await self.engine.run(commands)
        return outcomes

    def sender(self, transport: Transport, handle: Callable[..., Awaitable[Any]] | None = None) -> Sender:
        letters = Letters(load_places(PLACES))
        return Sender(
            handle or self.handle, self.cases, self.persons, letters, transport, lease=LEASE, clock=self.clock
        )

    async def book(self, *numbers: int) -> None:
        """Appointments were booked, one in each of these cases."""
        reaction = Reaction(AppointmentBooked, on_appointment_booked, key=lambda event: event.case_id)
        await self.handle([told(reaction, an_appointment(number)) for number in numbers])

    async def cancel(self, number: int) -> None:
        """The appointment of this case was called off."""
        booked = an_appointment(number).model_dump(exclude={"starts_at", "minutes", "place", "mode", "languages"})
        event = AppointmentCancelled(**booked, reason=CancellationReason.WITHDRAWN)
        reaction = Reaction(AppointmentCancelled, on_appointment_cancelled, key=lambda event: event.case_id)
        await self.handle([told(reaction, event)])

    async def states(self) -> Counter[str]:
        """How many messages stand where."""
        cases = [case async for case in self.database["cases"].find()]
        return Counter(message["state"] for case in cases for message in case["messages"])

    async def settled(self) -> Counter[str]:
        """The outcomes that were told."""
        rows = [json.loads(row["data"]) async for row in self.database["outbox"].find()]
        return Counter(row["outcome"] for row in rows)


def an_appointment(number: int) -> AppointmentBooked:
    return AppointmentBooked(
        case_id=derived_id("case", str(number)),
        referral_id=derived_id("referral", str(number)),
        partner_id="awo",
        appointment_id=derived_id("appointment", str(number)),
        person_id=derived_id("person", str(number)),
        starts_at=NOW + timedelta(days=1),
        minutes=45,
        place="integrationsbuero",
        mode="on_site",
        languages=(),
    )


def told(reaction: Reaction[Any, NotifiedCase], event: Event) -> Command[NotifiedCase]:
    """The command the pipeline makes of an event."""
    id_ = derived_id("cause", event.model_dump_json())
    received = Received(event, Cause(id_, id_, ""), 0, "scheduling.appointments.v1", 0, 0)
    return Command(reaction.key(event), received.cause, partial(reaction.decide, received))


class WatchedTransport(CountingTransport):
    """Says when the first mail is going out, and keeps it there as long as `held` is set."""

    def __init__(self, *, held: bool = False) -> None:
        super().__init__()
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        if not held:
            self.may_end.set()

    async def send(self, mail: Mail) -> MessageOutcome:
        self.began.set()
        await self.may_end.wait()
        return await super().send(mail)


@pytest.fixture
async def office(database: Database) -> Office:
    return Office(database)


def smtp(server: MailServer) -> SmtpTransport:
    return SmtpTransport("127.0.0.1", server.port, "termine@integrationsbuero.example.org")


async def test_a_booked_appointment_lies_in_a_mailbox(office: Office) -> None:
    await office.book(1)

    async with MailServer() as server:
        sender = office.sender(smtp(server))
        assert await sender.send_chunk() is Pace.AT_ONCE
        assert await sender.send_chunk() is Pace.WHEN_NUDGED
        await sender.stop()

    [mail] = server.mails
    assert mail["To"] == f"{derived_id('person', '1')}@example.org"
    assert mail["Content-Language"] == "ar"
    assert await office.states() == {"sent": 1}
    assert await office.settled() == {"sent": 1}


async def test_the_store_knows_no_name_and_no_address(office: Office) -> None:
    await office.book(1)
    await office.sender(CountingTransport()).send_chunk()

    held = [
        document
        for name in await office.database.list_collection_names()
        for document in await office.database[name].find().to_list(None)
    ]
    assert "zlem" not in str(held)
    assert "example.org" not in str(held)


async def test_a_repeated_event_sends_nothing_twice(office: Office) -> None:
    transport = CountingTransport()
    for _ in range(3):
        await office.book(1)
        await office.sender(transport).send_chunk()

    assert transport.sent == 1


async def test_instances_that_share_the_work_send_each_message_once(office: Office) -> None:
    await office.book(*range(150))
    async with MailServer() as server:
        senders = [office.sender(smtp(server)) for _ in range(3)]

        async def work(sender: Sender) -> None:
            while await sender.send_chunk() is Pace.AT_ONCE:
                pass
            await sender.stop()

        await asyncio.gather(*(work(sender) for sender in senders))

    assert len({mail["To"] for mail in server.mails}) == len(server.mails) == 150
    assert await office.settled() == {"sent": 150}


async def test_a_crash_while_sending_ends_as_unknown_and_sends_nothing_again(office: Office) -> None:
    await office.book(1, 2)
    crashed = WatchedTransport(held=True)
    crash = asyncio.create_task(office.sender(crashed).send_chunk())
    await crashed.began.wait()
    crash.cancel()
    await asyncio.gather(crash, return_exceptions=True)
    assert await office.states() == {"sending": 2}

    survivor = CountingTransport()
    assert await office.sender(survivor).send_chunk() is Pace.WHEN_NUDGED
    office.clock.now += LEASE
    await office.sender(survivor).send_chunk()

    assert await office.states() == {"unknown": 2}
    assert await office.settled() == {"unknown": 2}
    assert survivor.sent == 0


async def test_an_owner_that_slept_through_its_lease_sends_nothing(office: Office) -> None:
    await office.book(1)
    transport = CountingTransport()
    fetch = office.persons.fetch

    async def sleep_and_fetch(ids: Collection[str]) -> Mapping[str, Person]:
        office.clock.now += LEASE
        await office.sender(CountingTransport()).send_chunk()
        return await fetch(ids)

    office.persons.fetch = sleep_and_fetch  # type: ignore[method-assign]
    await office.sender(transport).send_chunk()

    assert transport.sent == 0
    assert await office.settled() == {"unknown": 1}


async def test_what_was_cancelled_before_it_went_out_is_not_sent(office: Office) -> None:
    await office.book(1, 2)
    await office.cancel(1)
    transport = CountingTransport()

    await office.sender(transport).send_chunk()

    assert transport.sent == 1
    assert await office.states() == {"sent": 1, "cancelled": 1}


async def test_without_intake_everything_waits_and_nothing_is_lost(office: Office) -> None:
    await office.book(1, 2)
    office.persons.away = True
    sender = office.sender(CountingTransport())

    assert await sender.send_chunk() is Pace.AFTER_A_PAUSE
    assert await office.states() == {"pending": 2}
    assert await sender.send_chunk() is Pace.WHEN_NUDGED

    office.persons.away = False
    office.clock.now += timedelta(seconds=5)
    await sender.send_chunk()
    assert await office.states() == {"sent": 2}


async def test_without_a_mail_server_everything_waits_and_nothing_is_lost(office: Office) -> None:
    await office.book(1, 2)
    async with MailServer() as server:
        pass
    sender = office.sender(smtp(server))
    assert await sender.send_chunk() is Pace.AFTER_A_PAUSE
    assert await office.states() == {"pending": 2}

    office.clock.now += timedelta(seconds=5)
    async with MailServer(port=server.port) as server:
        await sender.send_chunk()
        await sender.stop()

    assert await office.states() == {"sent": 2}
    assert len(server.mails) == 2


async def test_a_server_that_falls_silent_after_the_text_is_not_asked_again(office: Office) -> None:
    await office.book(1)
    async with MailServer(at_data=None) as server:
        sender = office.sender(smtp(server))
        await sender.send_chunk()
        office.clock.now += timedelta(hours=1)
        await sender.send_chunk()
        await sender.stop()

    assert len(server.mails) == 1
    assert await office.settled() == {"unknown": 1}


async def test_a_refused_recipient_stops_nobody_else(office: Office) -> None:
    await office.book(1, 2, 3)
    async with MailServer() as server:
        refused = derived_id("person", "2")
        server.refused = f"{refused}@example.org"
        sender = office.sender(smtp(server))
        await sender.send_chunk()
        await sender.stop()

    assert await office.settled() == {"sent": 2, "failed": 1}


async def test_a_person_without_mail_gets_none_and_the_office_sees_it(office: Office) -> None:
    await office.book(1, 2)
    office.persons.unknown = {derived_id("person", "1")}
    office.persons.may_contact_by = ("letter",)
    transport = CountingTransport()

    await office.sender(transport).send_chunk()

    assert transport.sent == 0
    assert await office.settled() == {"no_channel": 2}


async def test_a_letter_that_cannot_be_written_stops_nobody_else(office: Office) -> None:
    await office.book(1, 2)
    await office.database["cases"].update_one({}, {"$set": {"messages.0.place": "a-place-without-address"}})

    await office.sender(CountingTransport()).send_chunk()

    assert await office.states() == {"sent": 1, "pending": 1}


async def test_an_outcome_waits_for_the_store(office: Office) -> None:
    """What went out must not end as unknown because the store was away for a moment."""
    await office.book(1)
    calls = 0

    async def handle(commands: Sequence[Command[NotifiedCase]]) -> list[Outcome[NotifiedCase]]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise UnavailableError("away")
        return await office.handle(commands)

    sender = office.sender(CountingTransport(), handle)
    sender.EVERY = 0.01  # type: ignore[misc]
    await sender.send_chunk()

    assert calls == 3
    assert await office.settled() == {"sent": 1}


async def test_what_may_have_been_taken_up_is_asked_for_again_and_goes_out(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.book(1, 2)
    commit, cut_off = AsyncIOMotorClientSession.commit_transaction, [True]

    async def commit_and_fall_silent(self: AsyncIOMotorClientSession) -> None:
        await commit(self)
        if cut_off and cut_off.pop():
            error = AutoReconnect("connection closed")
            error._add_error_label("UnknownTransactionCommitResult")
            raise error

    monkeypatch.setattr(mongo, "COMMIT_PATIENCE", -1.0)
    monkeypatch.setattr(AsyncIOMotorClientSession, "commit_transaction", commit_and_fall_silent)
    transport = CountingTransport()
    sender = office.sender(transport)
    sender.EVERY = 0.01  # type: ignore[misc]

    assert await sender.send_chunk() is Pace.AT_ONCE

    assert cut_off == []
    assert transport.sent == 2
    assert await office.settled() == {"sent": 2}


async def test_a_chunk_is_what_intake_answers_at_once(office: Office) -> None:
    await office.book(*range(600))
    sender = office.sender(CountingTransport())

    while await sender.send_chunk() is Pace.AT_ONCE:
        pass

    assert office.persons.asked_for == [500, 100]
    assert await office.settled() == {"sent": 600}


async def test_a_nudged_sender_sends_at_once_and_stops_at_once(office: Office) -> None:
    transport = WatchedTransport()
    sender = office.sender(transport)
    sender.EVERY = 3600.0  # type: ignore[misc]
    await sender.start()
    await asyncio.sleep(0.1)

    await office.book(1)
    sender.nudge()

    async with asyncio.timeout(5):
        await transport.began.wait()
        await sender.stop()
    assert await office.states() == {"sent": 1}


async def test_a_stop_ends_the_mail_at_hand_and_puts_the_others_back(office: Office) -> None:
    await office.book(*range(5))
    transport = WatchedTransport(held=True)
    sender = office.sender(transport)
    await sender.start()
    await transport.began.wait()

    stop = asyncio.create_task(sender.stop())
    await asyncio.sleep(0)
    transport.may_end.set()
    await stop

    assert await office.states() == {"sent": 1, "pending": 4}
