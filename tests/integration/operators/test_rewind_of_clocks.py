"""Routing comes back from a backup before clocks ran out: what they did is done again, and what partners said to it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from routed import ALL_THREE, Routed, an_agreement, an_instance, goes_by, routed, running, said_by
from toy.backups import back_up, restore
from toy.trial import eventually
from typing_commands import Typed

from deploy.backends import Backends
from shared.contracts.codes import ReferralState as S
from shared.contracts.partners import ReplyAccepted, ReplyStarted
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
        made = an_instance(routing.backends, tmp_path)
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


async def known(routing: Routed) -> dict[str, Any]:
    """Every case, without how often it was written and how far it has counted; and the explanations."""
    found = {name: dict(document) for name, document in (await routing.state()).items()}
    for document in found.values():
        for counted in ("version", "sequence"):
            document.pop(counted, None)
    return found
