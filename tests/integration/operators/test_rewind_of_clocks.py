"""Routing comes back from a backup before clocks ran out: what they did is done again, and what partners said to it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from routed import ALL_THREE, Routed, an_agreement, an_instance, goes_by, queue_of, routed, running, said_by
from toy.backups import back_up, restore
from toy.trial import eventually
from typing_commands import Typed

from deploy.backends import Backends
from services.routing.domain.assigning import assigned
from services.routing.domain.case import RoutedCase
from services.routing.domain.placing import conclude
from services.routing.domain.situation import Situation
from shared.contracts.codes import Actor, Concern, HandOnReason
from shared.contracts.codes import ReferralState as S
from shared.contracts.partners import ReplyAccepted, ReplyStarted
from shared.envelope import Cause
from shared.pipeline.decisions import Command, Decision
from shared.pipeline.engine import utc_now


@pytest.fixture
async def routing(backends: Backends, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Routed]:
    monkeypatch.setattr("wegweiser.rewind.logs.configure", lambda *_: None)
    monkeypatch.setenv("MONGO_URL", backends.mongo)
    monkeypatch.setenv("PORT", "1")
    async with routed(backends, an_agreement()) as made:
        yield made


class Calendar:
    """Says how late it is; days go by when the test wants it."""

    later = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.later


async def test_what_clocks_did_since_the_backup_is_done_again_and_not_told_twice(
    routing: Routed, typed: Typed, tmp_path: Path
) -> None:
    calendar = Calendar()

    async def rest() -> bool:
        return await routing.at_rest(calendar())

    def an_office() -> Any:
        made = an_instance(routing.backends)
        goes_by(made, calendar)
        return made

    async with running(an_office()):
        early = await routing.open_cases(20, ALL_THREE)
        await eventually(lambda: routing.all_stand(early, S.OFFERED), what="the offers")
        await eventually(rest, what="rest")
    moment, backup = datetime.now(UTC).isoformat(), await back_up(routing.database)
    async with running(an_office()):
        cases = [*early, *await routing.open_cases(20, ALL_THREE)]
        await eventually(lambda: routing.all_stand(cases, S.OFFERED), what="the offers")
        for _ in range(2):
            calendar.later += timedelta(days=9)
            await eventually(rest, what="rest")
        offers = [case.referrals[1] for case in await routing.all_stand(cases, S.EXPIRED, S.OFFERED)]
        assert len(offers) == len(cases)
        for offer in offers[::2]:
            await routing.reply(offer.partner_id or "", ReplyAccepted(referral_id=offer.id))
        await eventually(rest, what="rest")
        calendar.later += timedelta(days=9)
        await eventually(rest, what="rest")
        for offer in offers[::4]:
            await routing.reply(offer.partner_id or "", ReplyStarted(referral_id=offer.id))
        await eventually(rest, what="rest")
    states, told = await known(routing), said_by(await routing.records())

    await restore(routing.database, backup)
    said = await typed("rewind", "routing", "--to", moment)
    assert said.exit_code == 0, said.output
    assert await known(routing) == states
    assert "led to it" not in said.stdout
    again = await typed("rewind", "routing", "--to", moment)
    assert "nothing was missing" in again.stdout
    async with running(an_office()):
        await eventually(rest, what="rest")

    assert await known(routing) == states
    assert said_by(await routing.records()) == told


async def test_what_the_office_decided_since_the_backup_is_named_and_not_done_again(
    routing: Routed, typed: Typed, tmp_path: Path
) -> None:
    agreement = an_agreement()

    def assign(seen: Situation, case: RoutedCase | None, now: datetime) -> Decision[RoutedCase]:
        assert case is not None
        [referral] = case.referrals
        after, offer = assigned(case, referral, "alpha", agreement, seen, now, Actor.OFFICE, HandOnReason.OTHER)
        return conclude(after, [offer], seen, "by-hand", now)

    async with running(an_instance(routing.backends)):
        [case_id] = await routing.open_cases(1, Concern.CHILDCARE)
        await eventually(lambda: routing.all_stand([case_id], S.CLEARING), what="a task of the office")
        await eventually(routing.at_rest, what="rest")
    moment, backup = datetime.now(UTC).isoformat(), await back_up(routing.database)
    office = an_instance(routing.backends)
    async with running(office):
        await office.pipeline.handle([Command(case_id, Cause.begin(), partial(assign, office.states.situation))])
        [case] = await routing.all_stand([case_id], S.OFFERED)
        respond_by = case.referrals[0].clock.last
        await routing.reply("alpha", ReplyAccepted(referral_id=case.referrals[0].id))
        await eventually(lambda: routing.all_stand([case_id], S.ACCEPTED), what="the acceptance")
        await eventually(routing.at_rest, what="rest")

    await restore(routing.database, backup)
    said = await typed("rewind", "routing", "--to", moment)

    assert said.exit_code == 0, said.output
    referral_id = case.referrals[0].id
    named = [line.split(" UTC  ")[1] for line in said.stdout.splitlines() if " UTC  " in line]
    assert [line for line in named if "case stands" not in line] == [
        f"{case_id}  alpha is asked to take childcare, answer by {respond_by} [referral {referral_id}]",
        f"{case_id}  alpha takes childcare [referral {referral_id}]",
    ]
    assert await routing.all_stand([case_id], S.CLEARING)
    async with running(an_instance(routing.backends)):
        await eventually(routing.at_rest, what="rest")
    told = sorted(type_ for type_, _ in said_by(await routing.records(queue_of("alpha"))).values())
    assert told == ["referral.accepted", "referral.offered", "reply.rejected"]


async def known(routing: Routed) -> dict[Any, Any]:
    """Every case and every explanation, without how often it was written and how far the case had counted."""
    found = {}
    for name, document in (await routing.state()).items():
        told = {
            field: value for field, value in document.items() if field not in ("_id", "version", "sequence", "step")
        }
        found[(document["referral_id"], document["at"]) if "step" in document else name] = told
    return found
