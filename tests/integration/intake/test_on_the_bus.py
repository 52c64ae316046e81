"""The whole of intake on a real Kafka: what it tells, and what it learns."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from running_intake import as_the_office
from sample_bodies import a_body, a_concern
from signing import sign_in
from toy.trial import eventually

from deploy.backends import Backends
from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from shared.contracts import BY_EVENT
from shared.contracts.base import new_id
from shared.contracts.codes import CaseState, ReferralState
from shared.contracts.intake import TOPIC, CaseOpened
from shared.contracts.routing import CaseProgressed, Standing
from shared.envelope import Cause, headers_of, source_of
from shared.kafka_access import KafkaAccess
from shared.pipeline.outbox import row_of
from shared.topics import provision, topics_for


@pytest.fixture
async def http(backends: Backends) -> AsyncIterator[httpx.AsyncClient]:
    """Intake's door; its topics and database have the names they have in life, and are gone afterwards."""
    topics = topics_for(())
    await provision(backends.kafka, topics)
    app = create_app(IntakeSettings(**dict(backends.kafka), mongo_url=backends.mongo))
    app.state.sign_in = sign_in()
    service = app.state.service
    await service.pipeline.start()
    try:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://intake", headers=as_the_office()
        ) as http:
            yield http
    finally:
        await service.pipeline.stop()
        await service.database.client.drop_database("intake")
        service.database.client.close()
    admin = AIOKafkaAdminClient(**backends.kafka.options)
    await admin.start()
    try:
        await admin.delete_topics([topic.name for topic in topics])
    finally:
        await admin.close()


async def tell(kafka: KafkaAccess, event: CaseProgressed) -> None:
    """As routing would."""
    row = row_of(event, Cause.begin(), 0, None, 1, datetime.now(UTC))
    async with AIOKafkaProducer(**kafka.options) as producer:
        await producer.send_and_wait(
            row["topic"], row["data"].encode(), event.case_id.encode(), headers=headers_of(row, source_of("routing"))
        )


async def test_a_case_travels_in_codes_and_what_became_of_it_is_shown(
    backends: Backends, http: httpx.AsyncClient
) -> None:
    concerns = [a_concern("integration_course", after=["care"]), a_concern("childcare", ref="care", note="KANARI")]
    case = (await http.post("/v1/cases", json=a_body(concerns=concerns, preferred_partners=["vhs"]))).json()
    path, care = f"/v1/cases/{case['case_id']}", case["concerns"][1]["concern_id"]
    await http.post(f"{path}/notes", json={"text": "KANARI"})
    await http.post(f"{path}/amend", json={"urgency": "soon"})

    async with AIOKafkaConsumer(TOPIC, **backends.kafka.options, auto_offset_reset="earliest") as consumer:
        opened, amended = [await consumer.getone() for _ in range(2)]

    assert dict(opened.headers)["ce_type"].decode() == BY_EVENT[CaseOpened].type
    told = CaseOpened.model_validate_json(opened.value)
    assert ([concern.after for concern in told.concerns], told.preferred_partners) == ([(care,), ()], ("vhs",))
    assert b'"urgency":"soon"' in amended.value
    assert b"KANARI" not in opened.value + amended.value

    standings = tuple(
        Standing(referral_id=new_id(), state=state, concerns=(care,), since=datetime.now(UTC))
        for state in (ReferralState.COMPLETED, ReferralState.EXPIRED)
    )
    await tell(
        backends.kafka, CaseProgressed(case_id=case["case_id"], state=CaseState.PARTLY_SETTLED, standings=standings)
    )

    async def partly_settled() -> Any:
        shown = (await http.get(path)).json()
        return shown["state"] == "partly_settled" and shown

    shown = await eventually(partly_settled, what="the progress is taken in", seconds=30)
    assert [concern["state"] for concern in shown["concerns"]] == ["received", "completed"]
