"""A platform that is started again leaves partners as they stand: nobody comes back, no old password counts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from taking_part import takes_no_part, takes_part
from toy.trial import eventually

from deploy.backends import Backends
from deploy.onboarding import Step
from shared.kafka_access import KafkaAccess
from shared.topics import topics_for
from wegweiser.addresses import Bus
from wegweiser.platform import Platform, onboarding_of, partners
from wegweiser.settings import PlatformSettings

ROTATED, SUSPENDED, REMOVED, *_ = partners()


class Office:
    """A platform that is started as often as a test wants, as far as it lets people in."""

    def __init__(self, backends: Backends, folder: Path) -> None:
        self._settings = PlatformSettings(var_dir=folder)
        self.onboarding = onboarding_of(self._settings, backends)

    async def start(self) -> None:
        await Platform(self._settings, print)._provision()

    async def change(self, steps: Iterator[Step]) -> None:
        await asyncio.to_thread(lambda: [step.do() for step in steps])

    def handed_over(self, id_: str) -> KafkaAccess:
        return Bus(_env_file=self.onboarding.credentials(id_))


@pytest.fixture
async def office(backends: Backends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    if not (backends.broker and backends.database):
        pytest.skip("BACKEND=external: users and rights are not ours")
    monkeypatch.setattr("wegweiser.platform.backends", lambda _: backends)
    made = Office(backends, tmp_path)
    await made.start()
    yield made
    for id_ in partners():
        await made.change(made.onboarding.removing(id_))
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
