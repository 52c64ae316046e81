"""Planted names are looked for in every record of every topic and in every log line, also after forced errors."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.structs import ConsumerRecord
from motor.motor_asyncio import AsyncIOMotorClient

from e2e.bus import every_record
from e2e.cases import a_case, a_person
from e2e.platforms import Running
from e2e.test_main_job import opened, settled
from e2e.waiting import eventually
from shared.topics import SERVICES
from wegweiser.samples import send, still_unmet
from wegweiser.settings import SAMPLE_CASES, SAMPLE_EXPECTATIONS

GIVEN, FAMILY = "Kanarienvogelina", "Geheimnisträgerin-Übel"
PHONE, STREET, NOTE = "0171 39200998877", "Kanariengasse 4711", "KANARI-e2e-Zwitschermaschine"
MAIL = "kanarienvogelina@example.org"
CANARIES = (GIVEN, FAMILY, PHONE, STREET, NOTE, MAIL, "1981-03-07")
ASYLUM_NOTE = "KANARI-asyl-Klagefrist"


def a_canary_case(**said: object) -> dict[str, object]:
    person = a_person(
        "p1",
        "self",
        given_name=GIVEN,
        family_name=FAMILY,
        birth_date="1981-03-07",
        birth_year=1981,
        birth_precision="day",
    )
    return a_case(
        persons=[person],
        contact={"phone": PHONE, "email": MAIL, "may_contact_by": ["email"]},
        address={"street": STREET, "postcode": "65817", "town": "Eppstein"},
        free_text=f"{GIVEN} {FAMILY}: {NOTE}",
        concerns=[{"code": "german_course", "for_person": "p1", "note": NOTE}],
        **said,
    )


@asynccontextmanager
async def a_producer(running: Running) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**running.kafka.options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def spelled(texts: Iterable[str]) -> set[bytes]:
    """The texts as they could stand in bytes: plain, and with JSON's escapes."""
    return {form for text in texts for form in (text.encode(), json.dumps(text)[1:-1].encode())}


def leaks(haystack: bytes, needles: set[bytes]) -> list[str]:
    return [needle.decode() for needle in needles if needle in haystack]


def bytes_of(record: ConsumerRecord) -> bytes:
    headers = b"\n".join(name.encode() + b"=" + (value or b"") for name, value in record.headers)
    return b"\n".join((record.topic.encode(), record.key or b"", record.value or b"", headers))


async def test_no_name_is_on_the_bus_or_in_a_log_line(running: Running) -> None:
    forbidden = spelled(CANARIES)
    for expectation in json.loads(SAMPLE_EXPECTATIONS.read_text(encoding="utf-8")).values():
        forbidden |= spelled(expectation["never_on_bus_or_in_logs"])

    await send(running.settings.url_of("intake"), running.staff, SAMPLE_CASES)
    case_id = await opened(running, a_canary_case())
    noted = {"text": f"{GIVEN} {FAMILY}: {NOTE}"}
    assert (await running.intake.post(f"/v1/cases/{case_id}/notes", json=noted)).status_code == 201
    await settled(running, case_id, german_course="scheduled")
    await force_validation_errors(running)
    await force_driver_errors(running)
    hostile = await write_hostile_records(running, case_id)
    assert await still_unmet(running.settings.url_of("intake"), running.staff, SAMPLE_EXPECTATIONS, patience=120) == []

    records = [record for record in await every_record(running.kafka) if (record.topic, record.offset) not in hostile]
    assert len(records) > 100
    assert not [(record.topic, found) for record in records if (found := leaks(bytes_of(record), forbidden))]
    assert len(running.logs) > len(SERVICES)
    assert not [(log.name, found) for log in running.logs if (found := leaks(log.read_bytes(), forbidden))]


async def test_asylum_question_leaves_nothing_behind(running: Running) -> None:
    asylum = {"code": "asylum", "for_person": "p1", "note": ASYLUM_NOTE}
    only = a_canary_case() | {"concerns": [asylum]}
    mixed = a_case(concerns=[{"code": "debt", "for_person": "p1"}, asylum])

    alone = await running.intake.post("/v1/cases", json=only, headers={"Idempotency-Key": "asylum-only"})
    beside = await running.intake.post("/v1/cases", json=mixed)

    assert alone.status_code == 200
    assert alone.json()["case_id"] is None
    assert alone.json()["redirected"] == beside.json()["redirected"]
    await settled(running, beside.json()["case_id"], debt="scheduled")
    client = AsyncIOMotorClient(running.platform.backends.mongo)
    try:
        for service in SERVICES:
            for name in await client[service].list_collection_names():
                async for document in client[service][name].find({"_id": {"$not": {"$regex": "^asylum-redirected:"}}}):
                    assert "asylum" not in str(document), (service, name)
                    assert ASYLUM_NOTE not in str(document), (service, name)
    finally:
        client.close()
    for record in await every_record(running.kafka):
        assert not leaks(bytes_of(record), {b"asylum", ASYLUM_NOTE.encode()})
    for log in running.logs:
        assert not leaks(log.read_bytes(), {ASYLUM_NOTE.encode()})


async def force_validation_errors(running: Running) -> None:
    case = a_canary_case()
    bad = [
        json.dumps(case | {"municipality": NOTE}),
        json.dumps(case | {"persons": [{"given_name": GIVEN, "family_name": {"x": FAMILY}}]}),
        json.dumps(case | {FAMILY: NOTE}),
        json.dumps(case)[:-9],
        json.dumps(case | {"languages": {"first": 10**30, "reads": NOTE}}),
    ]
    for body in bad:
        answer = await running.intake.post("/v1/cases", content=body, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500, answer.text


async def force_driver_errors(running: Running) -> None:
    """Two requests that want the same reference at once, and a store that is away while requests come in."""
    case = a_canary_case()
    await asyncio.gather(*(running.intake.post("/v1/cases", json=case) for _ in range(20)))
    mongo = next(server for server in running.platform.backends.servers if server.name == "mongod")
    killed = asyncio.create_task(asyncio.to_thread(mongo.kill))
    answers = await asyncio.gather(*(running.intake.post("/v1/cases", json=a_canary_case()) for _ in range(20)))
    await killed
    assert {answer.status_code for answer in answers} <= {201, 503}

    async def taken_again() -> bool:
        return (await running.intake.post("/v1/cases", json=a_canary_case())).status_code == 201

    await eventually(taken_again)


async def write_hostile_records(running: Running, case_id: str) -> set[tuple[str, int]]:
    """Records that are set aside or rejected and hold names themselves; returns where they lie."""
    name = f"{GIVEN} {FAMILY}".encode()
    binary = [("ce_specversion", b"1.0"), ("ce_source", b"/x"), ("ce_id", name)]
    opened_type = [*binary, ("ce_type", b"de.integrationsbuero.case.opened.v1")]
    accepted_type = [*binary, ("ce_type", b"de.integrationsbuero.reply.accepted.v1")]
    body = json.dumps({"case_id": case_id, "person_id": FAMILY, "referral_id": NOTE}).encode()
    lie: set[tuple[str, int]] = set()
    async with a_producer(running) as producer:
        for topic, headers in (
            ("intake.cases.v1", opened_type),
            ("intake.cases.v1", [(FAMILY, name)]),
            ("scheduling.appointments.v1", opened_type),
            ("partner.awo.replies.v1", accepted_type),
            ("partner.awo.replies.v1", []),
            ("partner.awo.referrals.v1", [*binary, ("ce_type", name)]),
        ):
            for value in (body, name, b""):
                sent = await producer.send_and_wait(topic, value, name, headers=headers)
                lie.add((topic, sent.offset))
    return lie
