"""The system's clock steps by an hour while terms end: nothing is told twice, nothing is lost."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from routed import ALL_THREE, ONLY_ALPHA, Routed, an_agreement, an_instance, goes_by, routed, running, said_by
from toy.trial import eventually

from deploy.backends import Backends
from services.routing.clockwork import Clockwork
from shared.contracts.codes import PauseReason
from shared.contracts.codes import ReferralState as S
from shared.contracts.partners import ReplyAccepted, ReplyPaused, ReplyResumed, ReplyStarted
from shared.days import local_day
from shared.service import Service

AN_HOUR = timedelta(hours=1)


class Stepping:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def routing(backends: Backends) -> AsyncIterator[Routed]:
    async with routed(backends, an_agreement()) as made:
        yield made


async def told(routing: Routed, *types: str) -> Counter[tuple[str, str]]:
    """How often each referral was told of each type, repetitions of the same event left out."""
    said = said_by(await routing.records()).values()
    return Counter((data["referral_id"], type_) for type_, data in said if type_ in types)


async def test_steps_of_an_hour_let_no_clock_run_out_twice_or_never(routing: Routed, tmp_path: Path) -> None:
    ahead, behind = Stepping(), Stepping()
    instances = [an_instance(routing.backends) for _ in range(2)]
    for instance, clock in zip(instances, (ahead, behind), strict=True):
        goes_by(instance, clock)

    async with running(*instances):
        cases = await routing.open_cases(30, ALL_THREE)
        await eventually(lambda: routing.all_stand(cases, S.OFFERED), what="the offers")
        for _ in range(2):  # the time to respond, then the days of grace
            [ends] = {case.next_due for case in await routing.cases(cases)}
            assert ends is not None
            for minutes in (-30, 30, -30, 30):
                for clock in (ahead, behind):
                    clock.now = ends + timedelta(minutes=minutes)
                    await looked(instances)
        await eventually(routing.at_rest, what="rest")

    found = await told(routing, "referral.overdue", "referral.expired", "referral.offered")
    for case in await routing.all_stand(cases, S.EXPIRED, S.OFFERED):
        first, second = (one.id for one in case.referrals)
        for what in ((first, "referral.overdue"), (first, "referral.expired"), (second, "referral.offered")):
            assert found.pop(what) == 1
    assert set(found.values()) == {1}
    assert {type_ for _, type_ in found} == {"referral.offered"}
    assert len(found) == len(cases)


async def test_a_review_of_the_same_day_comes_due_again_after_a_step_back(routing: Routed, tmp_path: Path) -> None:
    clock = Stepping()
    instance = an_instance(routing.backends)
    goes_by(instance, clock)

    async with running(instance):
        [case_id] = await routing.open_cases(1, ONLY_ALPHA)
        [case] = await eventually(lambda: routing.all_stand([case_id], S.OFFERED), what="the offer")
        id_ = case.referrals[0].id
        on = local_day(clock.now)
        paused = ReplyPaused(referral_id=id_, reason=PauseReason.OTHER, review_on=on)
        for reply in (ReplyAccepted(referral_id=id_), ReplyStarted(referral_id=id_), paused):
            await routing.reply("alpha", reply)
            await eventually(routing.at_rest, what="rest")
        [case] = await routing.all_stand([case_id], S.ON_HOLD)
        assert case.next_due is not None
        clock.now = case.next_due + AN_HOUR / 2
        await looked([instance])
        clock.now -= AN_HOUR
        for reply in (ReplyResumed(referral_id=id_), paused):
            await routing.reply("alpha", reply)
            await eventually(routing.at_rest, what="rest")
        clock.now += AN_HOUR
        await looked([instance])
        await eventually(routing.at_rest, what="rest")

    assert await told(routing, "service.review-due") == {(id_, "service.review-due"): 2}


async def looked(instances: list[Service[Any]]) -> None:
    """Each has looked for what is due, until nothing was."""
    for instance in instances:
        [clockwork] = instance._workers
        assert isinstance(clockwork, Clockwork)
        while await clockwork.work():
            pass
