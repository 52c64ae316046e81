"""Routing, scheduling and notify come back from older backups, each from its own, and nobody outside notices."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from office import SERVICES, Office, an_office
from toy.backups import Backup, back_up, restore
from typing_commands import Typed

from deploy.backends import Backends
from shared.mongo import UnavailableError
from shared.pipeline.rewinding import Rewinding

OVERDUE = "de.integrationsbuero.referral.overdue.v1"
SETTLED = "de.integrationsbuero.message.settled.v1"
SEED = 11


@pytest.fixture
async def office(
    backends: Backends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Typed
) -> AsyncIterator[Office]:
    monkeypatch.setattr("wegweiser.rewind.logs.configure", lambda *_: None)
    async with an_office(backends, tmp_path, SEED, monkeypatch) as made:
        yield made


async def backed_up(office: Office, service: str) -> tuple[str, Backup]:
    """The moment of a backup, and the backup."""
    return datetime.now(UTC).isoformat(), await back_up(office.client[service])


async def brought_back(office: Office, typed: Typed, service: str, backup: tuple[str, Backup]) -> str:
    """Restore an older state and rewind; what the command says."""
    moment, documents = backup
    await restore(office.client[service], documents)
    done = await typed("rewind", service, "--to", moment)
    assert done.exit_code == 0, done.output
    return done.stdout


async def everybody_has_something_to_do(office: Office) -> None:
    """Whatever chance brings: a partner says yes, an appointment is booked, a mail goes out."""
    await office.open_case()
    await office.travel(0)
    for offer in await office.offers():
        await office.reply(offer, accept=True)
    await office.travel(6)


async def test_cases_travel_on_as_if_nothing_had_been_lost(office: Office, typed: Typed) -> None:
    order = Random(SEED)
    backups: dict[str, tuple[str, Backup]] = {}
    async with office.running():
        await office.travel(6)
        for service in order.sample(sorted(SERVICES), len(SERVICES)):
            backups[service] = await backed_up(office, service)
            await office.travel(6)
        await everybody_has_something_to_do(office)
    states, slots, told = await office.states(), await office.slots(), await office.told()
    mails = len(office.mailboxes.mails)
    assert mails
    assert told[OVERDUE]

    for service in order.sample(sorted(SERVICES), len(SERVICES)):
        said = await brought_back(office, typed, service, backups[service])
        assert "were taken over" in said
        assert "led to it" not in said
        assert "unknown" not in said
        assert "nothing was missing" in (await typed("rewind", service, "--to", backups[service][0])).stdout
    async with office.running():
        pass

    assert await office.states() == states
    assert await office.slots() == slots
    assert await office.told() == told
    assert len(office.mailboxes.mails) == mails

    async with office.running():
        await office.travel(6)
    now_told = await office.told()
    assert all(len(contents) == 1 for by_id in now_told.values() for contents in by_id.values())
    assert len(now_told[SETTLED]) == len(office.mailboxes.mails)


async def test_a_mail_that_may_have_gone_out_is_not_sent_again(office: Office, typed: Typed) -> None:
    async with office.running():
        await office.open_case()
    backup = await backed_up(office, "notify")
    async with office.running():
        office.mute("notify")
        offers = await office.offers()
        for offer in offers:
            await office.reply(offer, accept=True)
    went_out = len(office.mailboxes.mails)
    assert went_out == len(offers) > 0

    said = await brought_back(office, typed, "notify", backup)
    async with office.running():
        pass

    assert f"{went_out} under way were ended as unknown" in said
    assert len(office.mailboxes.mails) == went_out
    contents = [content for contents in (await office.told())[SETTLED].values() for content in contents]
    assert len(contents) == went_out
    assert all(b'"outcome":"unknown"' in content for content in contents)


async def test_without_a_restore_a_mail_that_waits_goes_out_also_after_a_rewind_was_broken_off(
    office: Office, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.mailboxes.away = True
    async with office.running():
        await office.open_case()
        await office.travel(0)
        for offer in await office.offers():
            await office.reply(offer, accept=True)
        await office.travel(0)
    assert not office.mailboxes.mails

    with monkeypatch.context() as breaking:
        breaking.setattr(Rewinding, "tie_loose_ends", breaks_off)
        assert (await typed("rewind", "notify", "--to", "2017-01-09T00:00Z")).exit_code != 0
    said = (await typed("rewind", "notify", "--to", "2017-01-09T00:00Z")).stdout
    office.mailboxes.away = False
    async with office.running():
        pass

    assert "nothing was missing" in said
    assert office.mailboxes.mails


async def breaks_off(*_: object) -> int:
    raise UnavailableError("broken off")


async def test_cases_that_intake_took_in_since_the_backup_are_named(office: Office, typed: Typed) -> None:
    lost = {await office.open_case() for _ in range(3)}

    said = (await typed("rewind", "intake", "--to", "2017-01-09T00:00Z")).stdout
    again = (await typed("rewind", "intake", "--to", "2017-01-09T00:00Z")).stdout

    assert "3 cases are lost" in said
    assert {case_id for case_id in lost if f"  {case_id}  case opened: " in said} == lost
    assert lost == {line.strip() for line in said.splitlines()[-3:]}
    assert again == "nothing was missing in the database of intake\n"
