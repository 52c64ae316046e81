"""The sample partner as its developer would run it: one process, aiokafka alone, against a real broker."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from deploy.backends import Backends
from shared.contracts import BY_TYPE, Event
from shared.contracts.base import derived_id, new_id
from shared.contracts.codes import (
    AgeBand,
    AppointmentMode,
    CapacityStatus,
    ClarificationTopic,
    Concern,
    DeclineReason,
    ServiceOutcome,
    Urgency,
    WithdrawalReason,
)
from shared.contracts.partners import (
    CapacityReported,
    ReplyAccepted,
    ReplyClarificationAnswered,
    ReplyClarificationRequested,
    ReplyCompleted,
    ReplyDeclined,
    ReplyStarted,
)
from shared.contracts.routing import (
    ClarificationAnswered,
    ClarificationRequested,
    OfferedConcern,
    PartnerEvent,
    ReferralOffered,
    ReferralScheduled,
    ReferralWithdrawn,
    ServiceStarted,
)
from shared.envelope import Cause, headers_of, source_of, unwrap
from shared.pipeline.outbox import row_of
from shared.topics import partner_topics, provision

CONSUMER = Path(__file__).parents[3] / "examples" / "partners" / "python" / "consumer.py"
PATIENCE = 60


class Partner:
    """A partner of its own for one test: its two topics, and its program."""

    def __init__(self, backends: Backends, folder: Path) -> None:
        self.id = f"p-{uuid4().hex[:8]}"
        self.kafka = backends.kafka
        self.folder = folder
        self.processes: list[Process] = []

    async def start(self, program: Path = CONSUMER, **settings: str) -> Process:
        """Run the sample consumer, with these settings besides its address and name."""
        environment = {
            "PATH": os.environ["PATH"],
            **self.kafka.environment,
            "PARTNER_ID": self.id,
            **settings,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(program), stdout=PIPE, cwd=self.folder, env=environment
        )
        self.processes.append(process)
        return process

    async def tell(self, *events: PartnerEvent) -> None:
        """Write what routing would write, each time with the same id for the same event."""
        queue, _ = partner_topics(self.id)
        async with AIOKafkaProducer(**self.kafka.options) as producer:
            for event in events:
                id_ = derived_id("cause", event.model_dump_json())
                row = row_of(event, Cause(id_, id_, ""), 0, event.case_id, 1, datetime.now(UTC))
                await producer.send_and_wait(
                    queue.name,
                    row["data"].encode(),
                    row["subject"].encode(),
                    headers=headers_of(row, source_of("routing")),
                )

    async def replies(self, at_least: int) -> list[ConsumerRecord]:
        """All replies written so far, once there are so many."""
        _, replies = partner_topics(self.id)
        found: list[ConsumerRecord] = []
        async with (
            asyncio.timeout(PATIENCE),
            AIOKafkaConsumer(replies.name, **self.kafka.options, auto_offset_reset="earliest") as consumer,
        ):
            while len(found) < at_least:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += records
        return found

    def an_offer(self, name: str) -> ReferralOffered:
        """The partner is asked to help with debts."""
        concern = OfferedConcern(concern_id=new_id(), code=Concern.DEBT, person_id=new_id(), age_band=AgeBand.ADULT)
        return ReferralOffered(
            partner_id=self.id,
            referral_id=derived_id("referral", self.id, name),
            case_id=derived_id("case", self.id, name),
            agreement="2017-07-01",
            rules=("debt",),
            concerns=(concern,),
            languages=("ar",),
            urgency=Urgency.NORMAL,
            respond_by=date(2026, 12, 1),
        )


@pytest.fixture
async def partner(backends: Backends, tmp_path: Path) -> AsyncIterator[Partner]:
    partner = Partner(backends, tmp_path)
    await provision(backends.kafka, partner_topics(partner.id))
    yield partner
    for process in partner.processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def what_was_written(replies: list[ConsumerRecord]) -> list[Event]:
    """The events, as the office reads them."""
    envelopes = [unwrap(reply.topic, reply.headers, reply.value) for reply in replies]
    assert all(envelope.time for envelope in envelopes)
    return [BY_TYPE[envelope.type].event.model_validate_json(envelope.data, strict=True) for envelope in envelopes]


async def line_of(process: Process) -> str:
    assert process.stdout
    async with asyncio.timeout(PATIENCE):
        return (await process.stdout.readline()).decode()


async def test_what_is_offered_is_accepted_by_a_reply_we_understand(partner: Partner) -> None:
    offer = partner.an_offer("first")
    await partner.tell(offer)

    process = await partner.start()
    line = await line_of(process)

    assert "referral.offered.v1" in line
    assert line.endswith("debt: accepted\n")
    [reply] = await partner.replies(1)
    envelope = unwrap(reply.topic, reply.headers, reply.value)
    assert reply.key.decode() == offer.referral_id
    assert envelope.type == "de.integrationsbuero.reply.accepted.v1"
    assert ReplyAccepted.model_validate_json(envelope.data).referral_id == offer.referral_id


async def test_after_a_kill_it_goes_on_and_answers_nothing_twice(partner: Partner) -> None:
    first, second = partner.an_offer("first"), partner.an_offer("second")
    await partner.tell(first)
    killed = await partner.start()
    await line_of(killed)
    killed.kill()
    await killed.wait()

    await partner.tell(first, second)
    process = await partner.start()
    lines: list[str] = []
    while not (any("accepted" in line for line in lines) and any("dropped" in line for line in lines)):
        lines.append(await line_of(process))

    assert all(first.referral_id in line for line in lines if "dropped" in line)
    assert [second.referral_id in line for line in lines if "accepted" in line] == [True]
    replies = await partner.replies(2)
    assert sorted(reply.key.decode() for reply in replies) == sorted([first.referral_id, second.referral_id])


async def test_without_its_memory_it_repeats_itself_with_the_same_id(partner: Partner) -> None:
    offer = partner.an_offer("first")
    for _ in range(2):
        await partner.tell(offer)
        process = await partner.start()
        await line_of(process)
        process.send_signal(signal.SIGTERM)
        await process.wait()
        (partner.folder / f"{partner.id}.sqlite").unlink()

    first, again = (dict(reply.headers)["ce_id"] for reply in await partner.replies(2))
    assert first == again


async def test_other_events_are_noted_and_a_sigterm_ends_it_cleanly(partner: Partner) -> None:
    offer = partner.an_offer("first")
    await partner.tell(
        ReferralWithdrawn(
            partner_id=partner.id,
            referral_id=offer.referral_id,
            case_id=offer.case_id,
            reason=WithdrawalReason.BY_PERSON,
        )
    )
    process = await partner.start()
    assert "referral.withdrawn.v1" in await line_of(process)

    process.send_signal(signal.SIGTERM)

    async with asyncio.timeout(PATIENCE):
        assert await process.wait() == 0


async def test_what_is_no_event_is_left_and_the_next_offer_answered(partner: Partner) -> None:
    queue, _ = partner_topics(partner.id)
    async with AIOKafkaProducer(**partner.kafka.options) as producer:
        for headers in ([], [("ce_id", None)], [("ce_id", b"\xff")]):
            await producer.send_and_wait(queue.name, b"garbage", b"x", headers=headers)
    await partner.tell(partner.an_offer("first"))

    process = await partner.start()

    lines = [await line_of(process) for _ in range(4)]
    assert [line.endswith("left\n") for line in lines].count(True) == 3
    assert [line.endswith("accepted\n") for line in lines].count(True) == 1


async def test_what_fails_on_our_own_side_ends_it(partner: Partner) -> None:
    program = partner.folder / "consumer.py"
    program.write_text(CONSUMER.read_text().replace("    name = type_", "    {}['of our own code']\n    name = type_"))
    await partner.tell(partner.an_offer("first"))

    process = await partner.start(program)

    async with asyncio.timeout(PATIENCE):
        assert await process.wait() != 0


async def test_two_that_share_a_memory_do_not_mind_each_other(partner: Partner) -> None:
    await partner.tell(*(partner.an_offer(str(number)) for number in range(100)))

    both = [await partner.start(GROUP=f"{partner.id}.{name}") for name in ("one", "other")]

    for process in both:
        for _ in range(100):
            assert await line_of(process)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0


async def test_a_referral_can_be_walked_to_its_end(partner: Partner) -> None:
    offer = partner.an_offer("first")
    about = offer.model_dump(include={"partner_id", "referral_id", "case_id"})
    scheduled = ReferralScheduled(
        **about,
        appointment_id=new_id(),
        starts_at=datetime(2026, 12, 1, 9, tzinfo=UTC),
        minutes=60,
        place="integrationsbuero",
        mode=AppointmentMode.ON_SITE,
    )
    await partner.tell(offer, scheduled, ServiceStarted(**about))

    await partner.start(BEHAVIOUR="serve")

    assert what_was_written(await partner.replies(3)) == [
        ReplyAccepted(referral_id=offer.referral_id),
        ReplyStarted(referral_id=offer.referral_id),
        ReplyCompleted(referral_id=offer.referral_id, outcome=ServiceOutcome.HELPED),
    ]


async def test_it_can_ask_back_before_it_accepts(partner: Partner) -> None:
    offer = partner.an_offer("first")
    about = offer.model_dump(include={"partner_id", "referral_id", "case_id"})
    topic = ClarificationTopic.DOCUMENTS
    asked = ClarificationRequested(**about, topic=topic, answer_by=date(2026, 12, 1))
    await partner.tell(offer, asked, ClarificationAnswered(**about))

    await partner.start(BEHAVIOUR="ask")

    assert what_was_written(await partner.replies(3)) == [
        ReplyClarificationRequested(referral_id=offer.referral_id, topic=topic),
        ReplyClarificationAnswered(referral_id=offer.referral_id),
        ReplyAccepted(referral_id=offer.referral_id),
    ]


async def test_it_can_decline_for_a_reason(partner: Partner) -> None:
    offer = partner.an_offer("first")
    await partner.tell(offer)

    await partner.start(BEHAVIOUR="decline", REASON="language")

    [declined] = what_was_written(await partner.replies(1))
    assert declined == ReplyDeclined(referral_id=offer.referral_id, reason=DeclineReason.LANGUAGE)


async def test_it_reports_its_capacity_when_it_starts(partner: Partner) -> None:
    await partner.start(CAPACITY="debt=none housing_search=waiting_list:6 job_search=limited:3")

    assert what_was_written(await partner.replies(3)) == [
        CapacityReported(partner_id=partner.id, code=Concern.DEBT, status=CapacityStatus.NONE),
        CapacityReported(
            partner_id=partner.id, code=Concern.HOUSING_SEARCH, status=CapacityStatus.WAITING_LIST, weeks=6
        ),
        CapacityReported(partner_id=partner.id, code=Concern.JOB_SEARCH, status=CapacityStatus.LIMITED, places=3),
    ]
