"""Replies and referrals over HTTP: what routing reads and answers is the same as over Kafka."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from routed import BETA_HANDS_ON, Routed, a_letter, an_agreement, an_instance, routed, running
from running_gateway import Gateway, Partner, a_gateway, take
from toy.trial import eventually

from shared.contracts.base import new_id
from shared.contracts.codes import Concern
from shared.contracts.codes import ReferralState as S
from shared.contracts.partners import ReplyAccepted, ReplyStarted

PREFIX = "de.integrationsbuero."
ALPHA = "alpha"


def a_reply(what: str, referral_id: str, **said: Any) -> dict[str, Any]:
    return {"id": new_id(), "type": f"{PREFIX}reply.{what}.v1", "data": {"referral_id": referral_id, **said}}


async def test_a_reply_goes_to_the_partner_s_topic_as_one_over_kafka(partner: Partner) -> None:
    reply = a_reply("accepted", new_id(), note="newer than we know")

    answer = await partner.reply({**reply, "specversion": "1.0", "source": f"/partner/{partner.id}"})

    [record] = await partner.written()
    headers = {name: value.decode() for name, value in record.headers}
    place = {"partition": record.partition, "offset": record.offset}
    assert (answer.status_code, answer.json()) == (202, {"ce_id": reply["id"], **place})
    assert record.key.decode() == headers["ce_subject"] == reply["data"]["referral_id"]
    assert (headers["ce_id"], headers["ce_type"]) == (reply["id"], reply["type"])
    assert headers["ce_source"] == f"/partner/{partner.id}"
    assert b"newer than we know" in record.value


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"id": None}, ["/id"]),
        ({"id": "x" * 201}, ["/id"]),
        ({"source": "/partner/awo"}, ["/source"]),
        ({"source": "/integrationsbuero/routing"}, ["/source"]),
        ({"type": f"{PREFIX}referral.offered.v1"}, ["/type"]),
        ({"type": f"{PREFIX}reply.accepted.v2"}, ["/type"]),
        ({"specversion": "0.3"}, ["/specversion"]),
        ({"time": "yesterday"}, ["/time"]),
        ({"data": {}}, ["/data/referral_id"]),
        ({"data": "text"}, ["/data"]),
        ({"type": f"{PREFIX}reply.declined.v1"}, ["/data/reason"]),
        (
            {
                "type": f"{PREFIX}capacity.reported.v1",
                "data": {"partner_id": "awo", "code": "debt", "status": "none"},
            },
            ["/data/partner_id"],
        ),
    ],
)
async def test_a_reply_that_cannot_be_used_is_refused_at_once(
    partner: Partner, change: dict[str, Any], pointers: list[str]
) -> None:
    answer = await partner.reply({**a_reply("accepted", new_id()), **change})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert await partner.written() == []


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[]", "application/json", 422),
        (b" " * 2_000_000, "application/json", 413),
        (b"{}", "text/plain", 415),
    ],
)
async def test_what_is_no_reply_is_refused(partner: Partner, body: bytes, media_type: str, status: int) -> None:
    answer = await partner.reply(body, media_type=media_type)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.fixture
async def live(gateway: Gateway) -> AsyncIterator[Routed]:
    """Routing, which runs, and a partner of its agreement that was let in."""
    instance = an_instance(gateway.backends)
    async with routed(gateway.backends, an_agreement()) as made, running(instance):
        yield made


async def test_a_whole_offer_is_dealt_with_over_http_alone(gateway: Gateway, live: Routed) -> None:
    alpha = Partner(gateway, ALPHA)
    await alpha.let_in()
    [case_id] = await live.open_cases(1, Concern.DEBT)
    offered = await eventually(lambda: told(alpha, "referral.offered"))
    referral_id = offered["data"]["referral_id"]

    unknown, accepting = a_reply("accepted", new_id()), a_reply("accepted", referral_id)
    for reply in (unknown, accepting, accepting):
        assert (await alpha.reply(reply)).status_code == 202
    accepted = await eventually(lambda: told(alpha, "referral.accepted"))
    rejected = await eventually(lambda: told(alpha, "reply.rejected"))
    await eventually(live.at_rest)

    assert accepted["data"]["referral_id"] == referral_id
    assert rejected["data"]["reason"] == "unknown_referral"

    async def is_accepted() -> list[Any]:
        found = (await alpha.get("/referrals")).json()["referrals"]
        return found if [each["state"] for each in found] == ["accepted"] else []

    async def is_told() -> list[Any]:
        found: list[Any] = (await alpha.get("/status")).json()["rejected"]
        return found

    [referral] = await eventually(is_accepted)
    [rejection] = await eventually(is_told)
    assert referral["offer"]["case_id"] == case_id
    assert (rejection["reason"], rejection["offset"]) == ("unknown_referral", rejected["data"]["offset"])
    await take(alpha.onboarding.removing(ALPHA))


async def test_a_reply_has_the_same_effect_and_the_same_answer_as_over_kafka(gateway: Gateway, live: Routed) -> None:
    alpha = Partner(gateway, ALPHA)
    await alpha.let_in()
    ids = await live.open_cases(2, BETA_HANDS_ON)
    foreign, _ = [case.referrals[0].id for case in await eventually(lambda: live.all_stand(ids, S.OFFERED))]
    ids = await live.open_cases(2, Concern.DEBT)
    ours = [case.referrals[0].id for case in await eventually(lambda: live.all_stand(ids, S.OFFERED))]

    for id_, over_kafka in zip(ours, (False, True), strict=True):
        too_early = ReplyStarted(referral_id=id_)
        for event in (ReplyAccepted(referral_id=foreign), too_early, ReplyAccepted(referral_id=id_)):
            letter = a_letter("partner", event, ALPHA)
            headers = {name.removeprefix("ce_"): value.decode() for name, value in letter.headers}
            if over_kafka:
                await live.write(letter)
            else:
                said = {"id": headers["id"], "type": headers["type"], "data": event.model_dump(mode="json")}
                assert (await alpha.reply(said)).status_code == 202
            await eventually(live.at_rest)

    answers = Counter(
        [(said["reason"], said.get("state"), tuple(said["expected"])) for said in await rejections(alpha)]
    )
    assert answers == {("unknown_referral", None, ()): 2, ("wrong_state", "offered", ("accepted", "scheduled")): 2}
    assert {case.referrals[0].state for case in await live.cases(ours)} == {S.ACCEPTED}
    await take(alpha.onboarding.removing(ALPHA))


async def rejections(partner: Partner) -> list[dict[str, Any]]:
    """What its feed tells of replies that had no effect."""
    found: list[dict[str, Any]] = []
    page = (await partner.get("/events")).json()
    while page["events"]:
        found += (event["data"] for event in page["events"] if event["type"] == f"{PREFIX}reply.rejected.v1")
        page = (await partner.get("/events", after=page["next"])).json()
    return found


async def told(partner: Partner, what: str) -> Any:
    """The latest event of that type in the feed."""
    events = (await partner.get("/events", limit=500)).json()["events"]
    return next((event for event in reversed(events) if event["type"] == f"{PREFIX}{what}.v1"), None)


async def test_after_a_long_absence_one_starts_over_with_what_is_open(partner: Partner) -> None:
    offers = [partner.an_offer(f"r-{number}") for number in range(5)]
    await partner.tell(*offers)

    async def all_known() -> bool:
        return len((await partner.get("/referrals")).json()["referrals"]) == 5

    await eventually(all_known)
    pages, after = [], None
    while True:
        page = (await partner.get("/referrals", limit=2, **({"after": after} if after else {}))).json()
        pages.append(page)
        after = page["next"]
        if after is None:
            break
    await partner.tell(partner.an_offer("later"))

    behind = (await partner.get("/events", after=pages[0]["events_after"], wait=5)).json()["events"]

    found = [each["referral_id"] for page in pages for each in page["referrals"]]
    assert found == sorted(offer.referral_id for offer in offers)
    assert [event["subject"] for event in behind] == [partner.an_offer("later").referral_id]


async def test_another_gateway_goes_on_where_the_first_one_was(partner: Partner, gateway: Gateway) -> None:
    for worker in gateway.app.state.service._workers:
        await worker.stop()
    await partner.tell(partner.an_offer())

    async with a_gateway(gateway.backends, gateway.folder) as second:
        there = Partner(second, partner.id)
        await there.is_seen()

        async def known() -> bool:
            return len((await there.get("/referrals")).json()["referrals"]) == 1

        await eventually(known)
