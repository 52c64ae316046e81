"""The feed: a partner's queue over HTTP, with the same events in the same order as over Kafka."""

import asyncio
import json
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.structs import TopicPartition
from running_gateway import Gateway, Partner, a_gateway, take
from signing import signed
from toy.trial import eventually

from services.gateway import queues
from services.gateway.queues import MOST_READERS
from shared.contracts.base import new_id
from shared.contracts.codes import WithdrawalReason
from shared.contracts.routing import ReferralOverdue, ReferralWithdrawn
from shared.topics import PARTITIONS, partner_topics, sandbox_topics
from shared.web.roles import Role
from wegweiser.scenario import letter

PREFIX = "de.integrationsbuero."


async def read_on(partner: Partner, after: str | None = None, *, limit: int = 100) -> list[list[dict[str, Any]]]:
    """The pages from a cursor to the end."""
    pages = []
    while True:
        answer = await partner.get("/events", limit=limit, **({"after": after} if after else {}))
        assert answer.status_code == 200, answer.text
        if not answer.json()["events"]:
            return pages
        pages.append(answer.json()["events"])
        after = answer.json()["next"]


def a_life(partner: Partner, name: str) -> list[Any]:
    """Three events of one referral."""
    offer = partner.an_offer(name)
    names = {"partner_id": partner.id, "referral_id": offer.referral_id, "case_id": offer.case_id}
    overdue = ReferralOverdue(**names, expires_on=offer.respond_by)
    return [offer, overdue, ReferralWithdrawn(**names, reason=next(iter(WithdrawalReason)))]


async def test_every_event_comes_once_and_those_of_a_referral_in_their_order(partner: Partner) -> None:
    lives = [a_life(partner, f"r-{number}") for number in range(20)]
    await partner.tell(*(life[step] for step in range(3) for life in lives))

    pages = await read_on(partner, limit=7)

    events = [event for page in pages for event in page]
    assert len(events) == len({event["id"] for event in events}) == 60
    assert max(map(len, pages)) <= 7
    for life in lives:
        own = [event["type"] for event in events if event["subject"] == life[0].referral_id]
        assert own == [f"{PREFIX}referral.{what}.v1" for what in ("offered", "overdue", "withdrawn")]


async def test_an_event_is_what_it_is_over_kafka(partner: Partner) -> None:
    offer = partner.an_offer()
    await partner.tell(offer)

    [[event]] = await read_on(partner)

    assert event["data"] == offer.model_dump(mode="json")
    assert (event["specversion"], event["source"]) == ("1.0", "/integrationsbuero/routing")
    assert (event["subject"], event["sequence"]) == (offer.referral_id, "1")
    assert event["datacontenttype"] == "application/json"


async def test_the_feed_tells_what_a_consumer_gets_in_the_same_order(partner: Partner, gateway: Gateway) -> None:
    lives = [a_life(partner, f"r-{number}") for number in range(10)]
    await partner.tell(*(life[step] for step in range(3) for life in lives))
    queue, _ = partner_topics(partner.id)

    over_http: dict[str, list[Any]] = {}
    for event in (event for page in await read_on(partner, limit=4) for event in page):
        over_http.setdefault(event["subject"], []).append(event)
    over_kafka: dict[str, list[Any]] = {}
    async with AIOKafkaConsumer(queue.name, **gateway.backends.kafka.options, auto_offset_reset="earliest") as consumer:
        for _ in range(30):
            record = await consumer.getone()
            attributes = {name.removeprefix("ce_"): value.decode() for name, value in record.headers}
            attributes["datacontenttype"] = attributes.pop("content-type")
            over_kafka.setdefault(record.key.decode(), []).append({**attributes, "data": json.loads(record.value)})

    assert over_http == over_kafka


async def test_the_sandbox_is_a_queue_of_its_own(partner: Partner, gateway: Gateway) -> None:
    offer = letter(partner.an_offer("tried"))
    queue, replies = sandbox_topics(partner.id)
    async with AIOKafkaProducer(**gateway.backends.kafka.options) as producer:
        await producer.send_and_wait(queue.name, offer.value, offer.key, headers=offer.headers)
    await partner.tell(partner.an_offer("real"))

    [[real]] = await read_on(partner)
    there = (await partner.get("/events", sandbox=True)).json()
    again = (await partner.get("/events", sandbox=True, after=there["next"])).json()
    mixed_up = await partner.get("/events", after=there["next"])
    said = {"id": "r", "type": f"{PREFIX}reply.accepted.v1", "data": {"referral_id": there["events"][0]["subject"]}}
    written = (await partner.call("POST", "/replies?sandbox=true", said)).json()

    assert real["subject"] == partner.an_offer("real").referral_id
    assert [event["subject"] for event in there["events"]] == [partner.an_offer("tried").referral_id]
    assert again["events"] == []
    assert mixed_up.status_code == 422
    assert await partner.written() == []
    async with AIOKafkaConsumer(replies.name, **gateway.backends.kafka.options, auto_offset_reset="earliest") as reader:
        record = await reader.getone()
    assert written == {"ce_id": "r", "partition": record.partition, "offset": record.offset}


async def test_partitions_that_are_added_are_read(
    partner: Partner, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "METADATA_MS", 500)
    async with a_gateway(gateway.backends, gateway.folder) as another:
        there = Partner(another, partner.id)
        await there.is_seen()
        queue, _ = partner_topics(partner.id)
        admin = AIOKafkaAdminClient(**gateway.backends.kafka.options)
        await admin.start()
        await admin.create_partitions({queue.name: NewPartitions(2 * PARTITIONS)})
        await admin.close()
        offers = [partner.an_offer(f"r-{number}") for number in range(40)]
        await partner.tell(*offers)

        async def all_read() -> bool:
            return len([event for page in await read_on(there) for event in page]) == 40

        async def all_known() -> bool:
            return len((await there.get("/referrals")).json()["referrals"]) == 40

        await eventually(all_read)
        await eventually(all_known)


async def test_what_the_queue_has_forgotten_is_passed_and_told_on_from_what_is_left(
    partner: Partner, gateway: Gateway
) -> None:
    await partner.tell(*(partner.an_offer(f"early-{number}") for number in range(20)))
    await eventually(lambda: knows(partner, 20))
    for worker in gateway.app.state.service._workers:
        await worker.stop()
    await partner.tell(*(partner.an_offer(f"lost-{number}") for number in range(20)))
    await forget_everything(partner, gateway)
    await partner.tell(partner.an_offer("left"))

    async with a_gateway(gateway.backends, gateway.folder) as another:
        there = Partner(another, partner.id)
        await there.is_seen()
        await eventually(lambda: knows(there, 21))
        after = (await there.get("/referrals")).json()["events_after"]
        assert (await there.get("/events", after=after)).status_code == 200


async def knows(partner: Partner, number: int) -> bool:
    """Whether so many referrals are listed."""
    return len((await partner.get("/referrals")).json()["referrals"]) == number


async def forget_everything(partner: Partner, gateway: Gateway) -> None:
    """As the queue does after its time."""
    queue, _ = partner_topics(partner.id)
    admin = AIOKafkaAdminClient(**gateway.backends.kafka.options)
    await admin.start()
    everything = {TopicPartition(queue.name, number): RecordsToDelete(before_offset=-1) for number in range(PARTITIONS)}
    await admin.delete_records(everything)
    await admin.close()


async def test_the_same_cursor_gives_the_same_events_also_from_another_gateway(
    partner: Partner, gateway: Gateway
) -> None:
    await partner.tell(*a_life(partner, "first"))
    first = (await partner.get("/events")).json()
    while (page := (await partner.get("/events", after=first["next"])).json())["events"]:
        first = page
    await partner.tell(*a_life(partner, "second"))

    async with a_gateway(gateway.backends, gateway.folder) as another:
        there = [partner, Partner(another, partner.id)]
        await there[1].is_seen()
        behind = [(await each.get("/events", after=first["next"])).json()["events"] for each in (*there, *there)]

    assert behind[0]
    assert all(events[0] == behind[0][0] for events in behind)


async def test_who_waits_is_answered_as_soon_as_there_is_something(partner: Partner) -> None:
    empty = (await partner.get("/events")).json()
    waiting = asyncio.create_task(partner.get("/events", after=empty["next"], wait=30))
    assert not (await asyncio.wait({waiting}, timeout=1.5))[0]

    await partner.tell(partner.an_offer())

    async with asyncio.timeout(10):
        assert len((await waiting).json()["events"]) == 1


async def test_where_nothing_comes_the_cursor_comes_back(partner: Partner) -> None:
    empty = (await partner.get("/events")).json()
    assert empty["events"] == []

    waited = (await partner.get("/events", after=empty["next"], wait=1)).json()

    assert waited == empty


async def test_a_forged_cursor_is_refused(partner: Partner, gateway: Gateway) -> None:
    other = Partner(gateway)
    await other.let_in()
    theirs = (await other.get("/events")).json()["next"]
    own = (await partner.get("/events")).json()["next"]
    swapped = own[:10] + ("A" if own[10] != "A" else "B") + own[11:]

    for cursor in (theirs, swapped, own[:-4], "x", "%", "é", own + own):
        answer = await partner.get("/events", after=cursor)
        assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "after"), cursor
    await other.is_gone()


async def test_an_expired_cursor_is_told_from_a_forged_one(partner: Partner, gateway: Gateway) -> None:
    beginning = (await partner.get("/events")).json()["next"]
    await partner.tell(*a_life(partner, "gone"))
    await forget_everything(partner, gateway)

    async with a_gateway(gateway.backends, gateway.folder) as another:  # which has nothing of it in its memory
        there = Partner(another, partner.id)
        await there.is_seen()
        expired = await there.get("/events", after=beginning)
        assert (await there.get("/events")).status_code == 200

    assert (expired.status_code, expired.json()["type"]) == (410, "urn:integrationsbuero:problem:cursor-expired")
    assert "/referrals" in expired.json()["detail"]


async def test_nobody_reads_another_s_queue(partner: Partner) -> None:
    answers = [await partner.get("/events", as_="awo")]
    for path in ("/events", "/referrals", "/status"):
        there = await partner.get(path, as_="another")
        nowhere = await partner.gateway.http.get(
            f"/v1/partners/nobody{path}", headers=signed(Role.PARTNER, partner_id="another")
        )
        answers += [there, nowhere]
    assert {answer.status_code for answer in answers} == {403}
    assert len({(answer.json()["type"], answer.json()["detail"]) for answer in answers}) == 1


async def test_a_suspended_partner_is_shut_out_and_let_in_again(partner: Partner) -> None:
    await partner.tell(partner.an_offer())
    await take(partner.onboarding.suspending(partner.id))

    async def shut_out() -> bool:
        return (await partner.get("/events")).status_code == 403

    async def let_in() -> bool:
        answer = await partner.get("/events")
        return answer.status_code == 200 and len(answer.json()["events"]) == 1

    await eventually(shut_out)
    reply = {"id": "r", "type": f"{PREFIX}reply.accepted.v1", "data": {"referral_id": new_id()}}
    assert (await partner.reply(reply)).status_code == 403
    await take(partner.onboarding.resuming(partner.id))
    await eventually(let_in)


async def test_a_partner_waits_in_a_few_places_at_most(partner: Partner) -> None:
    empty = (await partner.get("/events")).json()
    waiting = [asyncio.create_task(partner.get("/events", after=empty["next"], wait=30)) for _ in range(MOST_READERS)]
    await asyncio.wait(waiting, timeout=2)

    too_many = await partner.get("/events")
    await partner.tell(partner.an_offer())

    assert (too_many.status_code, too_many.headers["retry-after"]) == (429, "5")
    assert [len((await answer).json()["events"]) for answer in waiting] == [1] * MOST_READERS


@pytest.mark.parametrize("query", [{"wait": 31}, {"wait": -1}, {"limit": 0}, {"limit": 501}, {"cursor": "x"}])
async def test_a_wrong_question_is_named(partner: Partner, query: dict[str, Any]) -> None:
    answer = await partner.get("/events", **query)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == next(iter(query))
