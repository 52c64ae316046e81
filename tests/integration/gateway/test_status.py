"""How a partner stands: how far its own groups are, and nothing of anybody else's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer
from dotenv import dotenv_values
from running_gateway import Gateway, Partner
from signing import signed
from toy.trial import eventually

from services.gateway.api import REQUESTS_PER_SECOND, status
from shared.kafka_access import KafkaAccess
from shared.pace import BURST_SECONDS
from shared.topics import partner_topics, sandbox_topics
from shared.web.roles import Role


@asynccontextmanager
async def reading(partner: Partner, group: str, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Its own software, in one of its groups."""
    told = {name.lower(): value for name, value in dotenv_values(partner.onboarding.credentials(partner.id)).items()}
    access = KafkaAccess.model_validate(told)
    consumer = AIOKafkaConsumer(
        topic,
        **access.options,
        group_id=f"{partner.id}.{group}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    async with consumer:
        yield consumer


@pytest.fixture(autouse=True)
def always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told a moment ago is asked again."""
    monkeypatch.setattr(status, "_KEPT_SECONDS", 0.0)


async def test_the_lag_of_a_partner_s_groups_is_shown(partner: Partner, gateway: Gateway) -> None:
    other = Partner(gateway)
    await other.let_in()
    queue, _ = partner_topics(partner.id)
    sandbox, _ = sandbox_topics(partner.id)
    await partner.tell(*(partner.an_offer(f"r-{number}") for number in range(5)))
    await other.tell(other.an_offer())

    async with (
        reading(partner, "work", queue.name) as work,
        reading(partner, "trial", sandbox.name) as trial,
        reading(other, "work", partner_topics(other.id)[0].name) as theirs,
    ):
        for consumer in (work, theirs):
            await consumer.getone()
            await consumer.commit()
        await trial.commit(dict.fromkeys(trial.assignment(), 0))
        found = (await partner.get("/status")).json()
    await eventually(lambda: is_left(partner))

    assert (found["partner_id"], found["events"]) == (partner.id, 5)
    assert found["groups"] == [{"group": f"{partner.id}.work", "is_active": True, "lag": 4}]
    await other.is_gone()


async def is_left(partner: Partner) -> bool:
    """Whether its software has left its group."""
    [group] = (await partner.get("/status")).json()["groups"]
    return not group["is_active"]


async def test_an_operator_sees_how_a_partner_stands(partner: Partner, gateway: Gateway) -> None:
    await partner.tell(partner.an_offer())

    answer = await gateway.http.get(f"/v1/partners/{partner.id}/status", headers=signed(Role.OPERATOR))

    assert (answer.status_code, answer.json()["events"]) == (200, 1)


async def test_who_asks_without_end_is_told_to_wait_and_others_are_not(partner: Partner, gateway: Gateway) -> None:
    other = Partner(gateway)
    await other.let_in()

    answers = [await partner.get("/referrals") for _ in range(REQUESTS_PER_SECOND * BURST_SECONDS * 3)]

    assert {answer.status_code for answer in answers} == {200, 429}
    assert (await other.get("/referrals")).status_code == 200
    await other.is_gone()
