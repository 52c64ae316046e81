"""An operator stops one service of a running platform, sets it back and starts it again."""

import asyncio
from collections.abc import Callable

import pytest
from click.testing import Result
from dotenv import dotenv_values
from typer.testing import CliRunner

from e2e.breaking import pid_of, ready
from e2e.platforms import Running
from wegweiser.cli import app


@pytest.fixture
def typed(running: Running, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Types a command where the platform runs."""
    monkeypatch.setenv("VAR_DIR", str(running.settings.var_dir))
    for name, value in dotenv_values(running.settings.var_dir / "platform.env").items():
        monkeypatch.setenv(name, value or "")
    return lambda *arguments: CliRunner().invoke(app, arguments)


async def test_a_service_is_rewound_while_the_others_run(running: Running, typed: Callable[..., Result]) -> None:
    before = await pid_of(running, "notify")
    rewind = ("rewind", "notify", "--to", "2017-01-09T08:00+01:00")
    too_early = await asyncio.to_thread(typed, *rewind)

    stopped = await asyncio.to_thread(typed, "stop", "notify")
    rewound = await asyncio.to_thread(typed, *rewind)
    assert (await asyncio.to_thread(typed, "start", "notify")).exit_code == 0

    assert "stop the service first" in too_early.stderr
    assert "notify is stopped; `wegweiser start notify` starts it again" in stopped.stdout
    assert rewound.exit_code == 0, rewound.output
    assert await pid_of(running, "notify", other_than=before)
    await ready(running, "notify")
