"""How long a partner's software on trial is waited for."""

import asyncio
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord
from partner_replies import a_reply

from wegweiser.letters import LATER
from wegweiser.program import Program
from wegweiser.sandbox import GivenUpError, Sandbox
from wegweiser.scenario import Point, Trial

SECONDS = 10


class SlowKafka:
    """Each look takes most of the patience there is, and brings one answer, up to `answers` in all."""

    def __init__(self, trial: Trial, answers: int) -> None:
        self.now = 0.0
        self._trial = trial
        self._answers = answers

    async def send_and_wait(self, *_: object, **__: object) -> None:
        """Whatever is told."""

    async def getmany(self, timeout_ms: int) -> dict[str, list[ConsumerRecord]]:
        """What is heard."""
        self.now += SECONDS - 1
        if not self._answers:
            return {}
        self._answers -= 1
        return {"replies": [a_reply(self._trial.unanswered(Point.EVERY_TYPE)[0])]}


@pytest.fixture
def trial() -> Trial:
    return Trial("awo")


async def tried(trial: Trial, kafka: SlowKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: kafka.now)
    await Sandbox(kafka, kafka, trial, "queue", Program(None, {}, Path()), SECONDS).tell_every_type()


async def test_patience_begins_anew_with_each_answer(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    await tried(trial, SlowKafka(trial, answers=len(LATER) + 1), monkeypatch)

    assert trial.unanswered(Point.EVERY_TYPE) == []


async def test_patience_ends_after_the_last_answer(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GivenUpError, match="waited 10 seconds for an answer"):
        await tried(trial, SlowKafka(trial, answers=3), monkeypatch)
