"""Agreements in routing's database and at its door, with a real MongoDB and the real topics of partners."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from fastapi import FastAPI
from signing import sign_in, signed
from toy.trial import eventually

from deploy.backends import Backends
from services.routing.agreement_files import load_agreements
from services.routing.agreement_store import MIGRATIONS, AgreementStore, NotActivatedError, Refusal
from services.routing.api import BODY_LIMITS
from services.routing.api.agreements import agreements_router
from services.routing.domain.agreement import Agreement
from shared.contracts.codes import Municipality
from shared.kafka_access import KafkaAccess
from shared.migrations import Migration
from shared.mongo import Database
from shared.topics import Topic, missing_topics, partner_topics, provision
from shared.web.equipment import equip
from shared.web.roles import Role
from wegweiser.settings import AGREEMENTS

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OPENING, PRACTICE, FOLLOWING = load_agreements(AGREEMENTS)


@pytest.fixture
def migrations() -> Sequence[Migration]:
    return MIGRATIONS


@pytest.fixture
def store(database: Database) -> AgreementStore:
    return AgreementStore(database)


def changed(agreement: Agreement, **changes: Any) -> Agreement:
    return Agreement.model_validate(agreement.model_dump() | changes)


def replacing(first: date, **changes: Any) -> Agreement:
    """A division that replaces the following one from that day on."""
    return changed(FOLLOWING, version=str(first), valid_from=first, replaces=FOLLOWING.version, **changes)


async def test_what_is_activated_is_what_was_written(store: AgreementStore) -> None:
    for term in (OPENING, PRACTICE, FOLLOWING):
        assert (await store.activate(term, NOW)).is_new

    assert (await store.all()).terms == (OPENING, PRACTICE, FOLLOWING)
    assert [stored.activated_at for stored in await store.stored()] == [NOW] * 3


async def test_the_terms_are_the_same_object_until_another_instance_adds_one(
    store: AgreementStore, database: Database
) -> None:
    await store.activate(OPENING, NOW)
    before = await store.all()
    assert await store.all() is before

    await AgreementStore(database).activate(PRACTICE, NOW)

    assert (await store.all()).terms == (OPENING, PRACTICE)


async def test_the_same_agreement_again_changes_nothing(store: AgreementStore) -> None:
    first = await store.activate(FOLLOWING, NOW)

    again = await store.activate(changed(FOLLOWING), datetime(2027, 1, 1, tzinfo=UTC))

    assert not again.is_new
    assert again.stored == first.stored


@pytest.mark.parametrize(
    ("second", "refusal", "said"),
    [
        (changed(FOLLOWING, why="changed"), Refusal.VERSION_TAKEN, "2019-01-09 is active with another content"),
        (changed(FOLLOWING, version="2019-01-10"), Refusal.NOT_SOUND, "the term overlaps that of 2019-01-09"),
        (
            changed(replacing(date(2026, 12, 1)), rules=FOLLOWING.rules * 2),
            Refusal.NOT_SOUND,
            "rules: vhs-courses: the id is used twice, and 13 more",
        ),
        (replacing(date(2020, 1, 1)), Refusal.DAYS_DECIDED, "cases up to today were decided by 2019-01-09"),
        (replacing(date(2026, 11, 23)), Refusal.DAYS_DECIDED, "cases up to today were decided by 2019-01-09"),
    ],
)
async def test_what_cannot_count_is_refused_and_changes_nothing(
    store: AgreementStore, second: Agreement, refusal: Refusal, said: str
) -> None:
    await store.activate(FOLLOWING, NOW)

    with pytest.raises(NotActivatedError) as refused:
        await store.activate(second, NOW)

    assert refused.value.refusal is refusal
    assert said in str(refused.value)
    assert (await store.all()).terms == (FOLLOWING,)


async def test_a_division_is_replaced_from_tomorrow_on(store: AgreementStore) -> None:
    await store.activate(FOLLOWING, NOW)
    tomorrow = replacing(date(2026, 11, 24))

    await store.activate(tomorrow, NOW)

    terms = await store.all()
    assert terms.in_force(date(2026, 11, 23)) == FOLLOWING
    assert terms.in_force(date(2026, 11, 24)) == tomorrow


async def test_of_two_that_exclude_each_other_one_wins(database: Database) -> None:
    """Whoever reads before the other writes decides again: both would be free to count."""
    await AgreementStore(database).activate(FOLLOWING, NOW)
    rivals = [replacing(date(2026, 12, day)) for day in range(1, 9)]

    results = await asyncio.gather(
        *(AgreementStore(database).activate(rival, NOW) for rival in rivals), return_exceptions=True
    )

    refused = [result for result in results if isinstance(result, NotActivatedError)]
    assert len(refused) == len(rivals) - 1
    assert {one.refusal for one in refused} == {Refusal.NOT_SOUND}
    assert len((await AgreementStore(database).all()).terms) == 2


async def test_of_two_that_are_the_same_one_is_new(database: Database) -> None:
    results = await asyncio.gather(*(AgreementStore(database).activate(FOLLOWING, NOW) for _ in range(5)))

    assert sorted(result.is_new for result in results) == [False] * 4 + [True]


async def provided(kafka: str, topics: Sequence[Topic]) -> None:
    """Create the topics; the broker lists them a moment after it said that they exist."""

    async def listed() -> bool:
        return not await missing_topics(kafka, topics)

    await provision(kafka, topics)
    await eventually(listed, what="the list of topics", seconds=60)


@dataclass(frozen=True)
class Door:
    """Routing's door for agreements, and an agreement with a partner of this test's own."""

    http: httpx.AsyncClient
    agreement: Agreement
    topics: Sequence[str]

    async def post(self, agreement: Agreement) -> httpx.Response:
        return await self.http.post("/v1/agreements", json=agreement.model_dump(mode="json"))


@pytest.fixture
async def door(store: AgreementStore, backends: Backends) -> AsyncIterator[Door]:
    partner = f"p-{uuid4().hex[:8]}"
    topics = partner_topics(partner)
    agreement = changed(
        FOLLOWING,
        partners=[FOLLOWING.partner("vhs").model_dump() | {"id": partner}],
        rules=[rule.model_dump() | {"takers": (partner,)} for rule in FOLLOWING.rules if rule.takers == ("vhs",)],
    )
    app = FastAPI()
    equip(app, dict, sign_in(), other_limits=BODY_LIMITS)
    app.include_router(agreements_router(store, backends.kafka))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://routing", headers=signed(Role.OPERATOR)
    ) as http:
        yield Door(http, agreement, [topic.name for topic in topics])
    admin = AIOKafkaAdminClient(**backends.kafka.options)
    await admin.start()
    await admin.delete_topics(sorted({topic.name for topic in topics} & set(await admin.list_topics())))
    await admin.close()


async def test_an_agreement_waits_until_its_partners_have_their_topics(door: Door, backends: Backends) -> None:
    queue, replies = partner_topics(door.agreement.partners[0].id)

    neither = await door.post(door.agreement)
    await provided(backends.kafka, [queue])
    no_replies = await door.post(door.agreement)
    await provided(backends.kafka, [replies])
    activated = await door.post(door.agreement)

    assert (neither.status_code, neither.json()["topics"]) == (409, list(door.topics))
    assert (no_replies.status_code, no_replies.json()["topics"]) == (409, [replies.name])
    assert replies.name in no_replies.json()["detail"]
    assert activated.status_code == 201


async def test_the_door_activates_lists_and_shows(door: Door, backends: Backends) -> None:
    await provided(backends.kafka, partner_topics(door.agreement.partners[0].id))

    activated = await door.post(door.agreement)
    again = await door.post(door.agreement)
    listed = (await door.http.get("/v1/agreements")).json()["agreements"]
    shown = (await door.http.get("/v1/agreements/2019-01-09")).json()
    unknown = await door.http.get("/v1/agreements/2019-01-10")

    assert (activated.status_code, again.status_code, unknown.status_code) == (201, 200, 404)
    assert "gap: debt" in [finding["where"] for finding in activated.json()["findings"]]
    assert [(one["version"], one["valid_to"], len(one["digest"])) for one in listed] == [
        ("2019-01-09", "2029-01-08", 64)
    ]
    assert Agreement.model_validate_json(json.dumps(shown["agreement"])) == door.agreement


async def test_a_refusal_says_what_stands_against_the_agreement(door: Door, backends: Backends) -> None:
    await provided(backends.kafka, partner_topics(door.agreement.partners[0].id))
    await door.post(door.agreement)

    unsound = await door.post(changed(door.agreement, version="2019-01-10", rules=door.agreement.rules * 2))
    taken = await door.post(changed(door.agreement, why="changed"))
    misspelt = await door.http.post("/v1/agreements", json=door.agreement.model_dump(mode="json") | {"town": "Kriftel"})

    assert unsound.status_code == 422
    assert {finding["where"] for finding in unsound.json()["findings"]} == {"rules: vhs-courses", "valid_from"}
    assert (taken.status_code, taken.json()["type"]) == (409, "urn:integrationsbuero:problem:agreement-version-taken")
    assert misspelt.json()["errors"] == [{"pointer": "/town", "detail": "Extra inputs are not permitted"}]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"clocks": {"review": "20"}}, {"pointer": "/clocks/review", "detail": "Input should be a valid integer"}),
        ({"clocks": {"review": True}}, {"pointer": "/clocks/review", "detail": "Input should be a valid integer"}),
        ({"valid_to": 20000}, {"pointer": "/valid_to", "detail": "Input should be a valid date"}),
        ({"notice": [90, 90]}, {"pointer": "/notice", "detail": "names 90 twice"}),
    ],
)
async def test_the_door_is_as_strict_as_the_files(
    door: Door, changes: dict[str, Any], expected: dict[str, str]
) -> None:
    answer = await door.http.post("/v1/agreements", json=door.agreement.model_dump(mode="json") | changes)

    assert (answer.status_code, answer.json()["errors"]) == (422, [expected])


async def test_a_thousand_rules_fit_through_the_door_and_more_are_refused_by_their_size(
    door: Door, backends: Backends
) -> None:
    await provided(backends.kafka, partner_topics(door.agreement.partners[0].id))
    [rule] = door.agreement.rules
    everything = {"towns": list(Municipality)[1:], "languages": ["ar", "fa", "ku", "tr", "uk"], "why": "a test " * 20}
    rules = [rule.model_dump() | everything | {"id": f"rule-{number}"} for number in range(1000)]
    content = "x" * 3_000_000

    activated = await door.post(changed(door.agreement, rules=rules))
    refused = await door.http.post("/v1/agreements", content=content, headers={"Content-Type": "application/json"})

    assert activated.status_code == 201
    assert activated.request.headers["Content-Length"] > "500000"
    assert refused.status_code == 413
    assert refused.json()["errors"] == [{"pointer": "", "detail": "at most 2097152 bytes, not 3000000"}]


async def test_without_a_broker_nothing_is_activated(store: AgreementStore) -> None:
    app = FastAPI()
    equip(app, dict, sign_in())
    nowhere = KafkaAccess(kafka_bootstrap="127.0.0.1:9", kafka_security_protocol="PLAINTEXT")
    app.include_router(agreements_router(store, nowhere))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://routing", headers=signed(Role.OPERATOR)
    ) as http:
        answer = await http.post("/v1/agreements", json=FOLLOWING.model_dump(mode="json"))

    assert answer.status_code == 503
    assert (await store.all()).terms == ()
