"""A platform lets its partners in, leaves them as they stand at its next start, and takes an operator's orders."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from dotenv import dotenv_values
from taking_part import commit, takes_no_part, takes_part
from toy.trial import eventually
from typer.testing import CliRunner

from deploy import groups
from deploy.backends import Backends
from deploy.onboarding import Step
from deploy.secrets import Secrets, password_file
from deploy.settings import ADMIN
from shared.kafka_access import KafkaAccess
from shared.topics import topics_for
from wegweiser.cli import app
from wegweiser.platform import Platform, onboarding_of, partners
from wegweiser.settings import PlatformSettings

ROTATED, SUSPENDED, REMOVED, *_ = partners()


class Office:
    """A platform that is started as often as a test wants, as far as it lets people in."""

    def __init__(self, backends: Backends, folder: Path) -> None:
        self._settings = PlatformSettings(var_dir=folder)
        self.onboarding = onboarding_of(self._settings, backends.kafka)
        self.secrets = Secrets(folder / "secrets")
        self.said: list[str] = []

    def platform(self) -> Platform:
        """One that was not started."""
        return Platform(self._settings, self.said.append)

    async def start(self) -> None:
        await self.platform()._provision()

    async def change(self, steps: Iterator[Step]) -> None:
        await asyncio.to_thread(lambda: [step.do() for step in steps])

    async def remove_everybody(self) -> None:
        for id_ in partners():
            await self.change(self.onboarding.removing(id_))

    async def order(self, *words: str) -> list[str]:
        """What `wegweiser partner` says."""
        said = await asyncio.to_thread(CliRunner().invoke, app, ["partner", *words])
        assert said.exit_code == 0, said.output
        return said.output.splitlines()

    def handed_over(self, id_: str) -> KafkaAccess:
        told = dotenv_values(self.onboarding.credentials(id_))
        return KafkaAccess.model_validate({name.lower(): value for name, value in told.items() if name[0] == "K"})


@pytest.fixture
async def office(backends: Backends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    if not (backends.broker and backends.database):
        pytest.skip("BACKEND=external: users and rights are not ours")
    monkeypatch.setattr("wegweiser.platform.backends", lambda _: backends)
    for name, value in {**backends.kafka.environment, "VAR_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    made, known = Office(backends, tmp_path), backends.kafka
    assert known.kafka_sasl_password is not None
    assert known.kafka_ca is not None
    made.secrets.keep(password_file(ADMIN), known.kafka_sasl_password.get_secret_value())
    made.secrets.keep(made.secrets.authority.name, known.kafka_ca.read_text())
    await made.remove_everybody()  # others may have let in somebody of the same name
    await made.start()
    yield made
    await made.remove_everybody()
    admin = AIOKafkaAdminClient(**backends.kafka.options)
    await admin.start()
    await admin.delete_topics([topic.name for topic in topics_for(partners())])
    await admin.close()


async def test_nobody_comes_back_in_by_a_start(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    old, suspended, removed = (office.handed_over(id_) for id_ in (ROTATED, SUSPENDED, REMOVED))
    assert await takes_part(old, ROTATED)
    await office.change(office.onboarding.rotating(ROTATED))
    await office.change(office.onboarding.finishing(ROTATED))
    await office.change(office.onboarding.suspending(SUSPENDED))
    await office.change(office.onboarding.removing(REMOVED))

    def named(*, on: date | None = None) -> list[str]:
        """The term that named the removed one is over."""
        return partners() if on is None else [id_ for id_ in partners() if id_ != REMOVED]

    monkeypatch.setattr("wegweiser.platform.partners", named)
    await office.start()

    assert await takes_part(office.handed_over(ROTATED), ROTATED)
    for access, id_ in ((old, ROTATED), (suspended, SUSPENDED), (removed, REMOVED)):
        await eventually(partial(takes_no_part, access, id_))
    assert not office.onboarding.credentials(REMOVED).exists()


async def test_who_is_still_in_when_its_terms_are_over_is_named(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named(*, on: date | None = None) -> list[str]:
        return [id_ for id_ in partners() if on is None or id_ not in (SUSPENDED, REMOVED)]

    await office.change(office.onboarding.removing(REMOVED))
    for module in ("partner", "platform"):  # the first takes its own from the second when it is imported
        monkeypatch.setattr(f"wegweiser.{module}.partners", named)
    line = f"no term that is not over names {SUSPENDED}, but it still has rights: wegweiser partner remove {SUSPENDED}"

    await office.start()

    assert office.said == [line]
    assert (await office.order("show", SUSPENDED))[-1] == line
    assert line not in await office.order("show", ROTATED)


async def somebody_waits_for(file: Path) -> bool:
    """Whether somebody stands in line for this lock (proc(5), `/proc/locks`)."""
    inode = os.stat(file).st_ino
    lines = await asyncio.to_thread(Path("/proc/locks").read_text)
    return any("->" in line and f":{inode} " in line for line in lines.splitlines())


async def test_a_start_waits_for_a_rotation_and_leaves_what_it_wrote(office: Office) -> None:
    with office.secrets.alone():
        starting = asyncio.create_task(office.start())
        await eventually(partial(somebody_waits_for, office.secrets.folder / "lock"))
        await office.change(office.onboarding.rotating(ROTATED))
    await starting

    assert office.handed_over(ROTATED).kafka_sasl_username == f"partner-{ROTATED}-2"
    assert await takes_part(office.handed_over(ROTATED), ROTATED)


async def test_of_two_orders_at_once_the_second_finds_what_the_first_did(office: Office) -> None:
    def order() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "wegweiser", "partner", "rotate", ROTATED]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    orders = [await asyncio.to_thread(order) for _ in range(2)]
    answers = [await asyncio.to_thread(one.communicate) for one in orders]

    assert sorted(one.returncode for one in orders) == [0, 1]
    [refusal] = [error for _, error in answers if error]
    assert f"{ROTATED} has two passwords already" in refusal
    assert await takes_part(office.handed_over(ROTATED), ROTATED)


async def test_an_order_is_carried_out_once_and_a_dry_run_only_says_it(office: Office) -> None:
    handed = office.handed_over(SUSPENDED)

    would_be_done = await office.order("suspend", SUSPENDED, "--dry-run")

    assert f"take the rights of partner-{SUSPENDED}-1, partner-{SUSPENDED}-gateway" in would_be_done
    assert (await office.order("show", SUSPENDED))[0] == f"{SUSPENDED}: active"
    assert await takes_part(handed, SUSPENDED)
    assert await office.order("suspend", SUSPENDED) == would_be_done
    assert (await office.order("show", SUSPENDED))[0] == f"{SUSPENDED}: suspended"
    await eventually(partial(takes_no_part, handed, SUSPENDED))
    assert await office.order("suspend", SUSPENDED) == ["nothing to do"]
    await office.order("suspend", SUSPENDED, "--end")
    await eventually(partial(takes_part, handed, SUSPENDED))
    assert (await office.order("add", SUSPENDED))[0] == "nothing to do"


async def test_what_a_partner_is_shown_as_tells_everything_but_its_secrets(office: Office) -> None:
    said = "\n".join(await office.order("show", ROTATED))

    assert f"partner-{ROTATED}-gateway" in said
    assert "32768 bytes/s written, 4194304 read, 25 % of a thread" in said
    secrets = office.handed_over(ROTATED).kafka_sasl_password
    assert secrets is not None
    assert secrets.get_secret_value() not in said


async def test_a_platform_forgets_groups_that_a_partner_has_too_many_of(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wegweiser.platform._LOOK_SECONDS", 0.1)
    monkeypatch.setattr(groups.surplus, "__kwdefaults__", {"most": 1})
    await commit(office.handed_over(ROTATED), ROTATED, ["a", "b", "c"])

    guard = asyncio.create_task(office.platform()._keep_groups_few())

    async def is_said() -> bool:
        return any(line.startswith(f"{ROTATED} has more than") for line in office.said)

    await eventually(is_said)
    guard.cancel()
