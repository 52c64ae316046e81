"""Clocks that run out while instances of routing die, replies arrive and the system's clock steps."""

import asyncio
import signal
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from faults.checker import bus_violated
from faults.instances import Instances, instances_of_routing
from routed import ALL_THREE, Routed, a_letter, an_agreement, an_instance, routed, running, said_by
from toy.run import AFTER_TRANSACTION, BEFORE_MARKING, INSIDE_TRANSACTION, WHILE_PUBLISHING
from toy.trial import eventually

from deploy.backends import Backends
from shared.contracts.codes import ReferralState
from shared.contracts.partners import ReplyAccepted

DYING: Final = (WHILE_PUBLISHING, INSIDE_TRANSACTION, AFTER_TRANSACTION, BEFORE_MARKING)
"""Where instances are killed at clocks; nothing is committed to Kafka there."""
IN_TEN_DAYS: Final = datetime.now(UTC).date() + timedelta(days=10)
OFFERED, EXPIRED, ACCEPTED = ReferralState.OFFERED, ReferralState.EXPIRED, ReferralState.ACCEPTED

Told = Mapping[str, Counter[str]]
"""By referral, how often an event of each type was told about it."""


@pytest.fixture(scope="module")
async def routing(backends: Backends) -> AsyncIterator[Routed]:
    """All tests of this module share it, each with cases of its own; the agreement ends soon."""
    async with routed(backends, an_agreement(ends=IN_TEN_DAYS)) as made:
        yield made


@pytest.fixture(scope="module")
async def instances(backends: Backends, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Instances]:
    """Processes of routing; one of them is never killed."""
    async with instances_of_routing(backends, tmp_path_factory.mktemp("routing")) as made:
        await made.start().ready(event="service_started")
        yield made


async def told_about(routing: Routed, cases: Collection[str]) -> Told:
    """What partners were told, repetitions of the same event left out."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for type_, data in said_by(await routing.records()).values():
        if data.get("case_id") in cases and "partner_id" in data:
            found[data["referral_id"]][type_] += 1
    return found


async def broken_promises(routing: Routed) -> list[str]:
    """Whether each topic carries the journal, in order, and nothing else; and nothing is left due."""
    assert await routing.at_rest()
    rows = await routing.rows()
    found: list[str] = []
    by_topic: dict[str, list[Any]] = defaultdict(list)
    for record in await routing.records():
        by_topic[record.topic].append(record)
    for topic in {*by_topic, *(row["topic"] for row in rows)}:
        found += bus_violated(topic, by_topic[topic], [row for row in rows if row["topic"] == topic])
    return found


async def test_clocks_run_out_once_while_instances_are_killed_again_and_again(
    routing: Routed, instances: Instances
) -> None:
    cases = await offered(routing, 300)
    victims = [instances.start("--die-at", point) for point in DYING]
    await asyncio.gather(*(victim.ready(event="service_started") for victim in victims))

    await routing.let_run_out(cases, "response")
    await eventually(lambda: overdue(routing, cases), what="the end of the terms", seconds=60)
    await routing.let_run_out(cases, "grace")
    await eventually(lambda: routing.all_stand(cases, EXPIRED, OFFERED), what="the next offers", seconds=60)
    await eventually(routing.at_rest, what="rest", seconds=60)

    assert [await victim.ended() for victim in victims] == [-signal.SIGKILL] * len(DYING)
    assert await broken_promises(routing) == []
    told = await told_about(routing, cases)
    for case in await routing.cases(cases):
        first, second = case.referrals
        assert told[first.id] == {"referral.offered": 1, "referral.overdue": 1, "referral.expired": 1}
        assert told[second.id] == {"referral.offered": 1}
        assert second.follows == first.id
        assert second.partner_id != first.partner_id


async def offered(routing: Routed, number: int) -> list[str]:
    cases = await routing.open_cases(number, ALL_THREE)
    await eventually(lambda: routing.all_stand(cases, OFFERED), what="the offers", seconds=60)
    return cases


async def overdue(routing: Routed, cases: Collection[str]) -> bool:
    return all(case.referrals[0].is_overdue for case in await routing.cases(cases))


@pytest.mark.usefixtures("instances")
async def test_of_a_clock_and_a_reply_at_the_same_moment_exactly_one_wins(routing: Routed) -> None:
    winners: set[ReferralState] = set()
    for _ in range(5):
        cases = await offered(routing, 100)
        await routing.let_run_out(cases, "response")
        await eventually(lambda cases=cases: overdue(routing, cases), what="the end of the terms")
        firsts = [case.referrals[0] for case in await routing.cases(cases)]
        replies = [a_letter("partner", ReplyAccepted(referral_id=one.id), one.partner_id or "") for one in firsts]

        await routing.let_run_out(cases, "grace")
        await eventually(lambda cases=cases: anyone_expired(routing, cases), what="the first expired", every=0.001)
        places = await routing.write(*replies)
        await eventually(routing.at_rest, what="rest", seconds=60)

        said = said_by(await routing.records()).values()
        rejected = [data for type_, data in said if type_ == "reply.rejected"]
        refusals = {(one["partner_id"], one["partition"], one["offset"]): one for one in rejected}
        told = await told_about(routing, cases)
        for case, place, first in zip(await routing.cases(cases), places, firsts, strict=True):
            refusal = refusals.get((first.partner_id, place.partition, place.offset))
            state = case.referrals[0].state
            winners.add(state)
            if state is ACCEPTED:
                assert refusal is None
                assert len(case.referrals) == 1
                assert told[first.id] == {"referral.offered": 1, "referral.overdue": 1, "referral.accepted": 1}
            else:
                assert refusal is not None
                assert (refusal["reason"], refusal["state"], refusal["expected"]) == ("wrong_state", EXPIRED, [OFFERED])
                assert [one.state for one in case.referrals] == [EXPIRED, OFFERED]
                assert told[first.id] == {"referral.offered": 1, "referral.overdue": 1, "referral.expired": 1}
        assert len(rejected) == len(refusals)
        if len(winners) > 1:
            break
    assert winners == {ACCEPTED, EXPIRED}
    assert await broken_promises(routing) == []


async def anyone_expired(routing: Routed, cases: Collection[str]) -> bool:
    return any(len(case.referrals) > 1 for case in await routing.cases(cases))


@pytest.mark.usefixtures("instances")
async def test_the_end_of_the_agreement_is_told_once_by_all_instances_and_after_restarts(
    routing: Routed, tmp_path: Path
) -> None:
    for _ in range(2):
        three = [an_instance(routing.backends) for _ in range(3)]
        async with running(*three):
            await asyncio.gather(*(worker.work() for one in three for worker in one._workers))  # type: ignore[attr-defined]

    alerts = [type_ for type_, _ in said_by(await routing.records("routing.alerts.v1")).values()]
    assert alerts == ["agreement.ending"]
