"""The samples pass what a partner's own software has to pass, and live through what happens on the way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress

import pytest
from candidates import LANGUAGES, Candidate, Said, python, side_by_side
from toy.trial import eventually

from deploy.backends import Backends
from wegweiser.program import Program
from wegweiser.scenario import Point

in_each_language = pytest.mark.parametrize("sample", LANGUAGES)


@pytest.fixture(scope="module")
async def verdicts(
    backends: Backends, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[str, "asyncio.Task[Said]"]]:
    """Of each sample that can run here."""
    checks = {}
    for sample in LANGUAGES:
        with suppress(pytest.skip.Exception):
            checks[sample.__name__] = checking(sample(), *(["--serves"] if sample is python else []))
    async with side_by_side(backends, tmp_path_factory.mktemp("samples"), checks) as running:
        yield running


def checking(command: str, *options: str) -> Callable[[Candidate], Awaitable[Said]]:
    async def check(candidate: Candidate) -> Said:
        await candidate.offer(2)  # what an earlier check left
        return await candidate.check(command, *options)

    return check


@in_each_language
async def test_a_sample_passes(verdicts: Mapping[str, "asyncio.Task[Said]"], sample: Callable[[], str]) -> None:
    sample()

    said = await verdicts[sample.__name__]

    assert said.exit_code == 0, said.output + said.log[-2000:]
    assert said.output.count("passed") == len(Point) - (sample is not python)
    assert "2 replies were about what this run did not tell of" in said.output


@in_each_language
async def test_a_sample_that_was_away_too_long_goes_on_with_what_is_left(
    candidate: Candidate, sample: Callable[[], str]
) -> None:
    program = Program(sample(), candidate.environment, candidate.folder / "log" / "sample")
    async with candidate.listening() as answered:
        with program.running():
            await candidate.offer(3)
            await eventually(lambda: answered(3))
        await candidate.offer(3)
        await candidate.forget_all_events()
        [left] = await candidate.offer(1)
        with program.running():
            await eventually(lambda: answered(4))
            assert left in candidate.answers
