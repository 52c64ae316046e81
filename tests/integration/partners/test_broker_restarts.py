"""Kafka goes and comes back under the samples: each answers what is new then, though nobody has started it again."""

import asyncio
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

import pytest
from candidates import LANGUAGES, a_candidate
from toy.trial import eventually

from deploy.backends import Backends
from wegweiser.program import Program

PATIENCE = 60
"""Seconds; a group waits ten of them for a member that it lost."""


async def test_every_sample_goes_on_when_the_broker_is_back(breakable: Backends, tmp_path: Path) -> None:
    assert breakable.broker is not None
    commands = {}
    for sample in LANGUAGES:
        with suppress(pytest.skip.Exception):
            commands[sample.__name__] = sample()
    async with AsyncExitStack() as stack:
        candidates = {}
        for name, command in commands.items():
            candidate = await stack.enter_async_context(a_candidate(breakable, tmp_path / name))
            stack.enter_context(Program(command, candidate.environment, tmp_path / name / "said").running())
            candidates[name] = candidate, await stack.enter_async_context(candidate.listening())
        for offers in (1, 2, 3):
            for candidate, _ in candidates.values():
                await candidate.offer(1)
            for name, (_, answered) in candidates.items():
                await eventually(partial(answered, offers), what=f"answer {offers} in {name}", seconds=PATIENCE)
            if offers == 1:
                await asyncio.to_thread(breakable.broker.stop)
                await asyncio.to_thread(breakable.broker.start)
