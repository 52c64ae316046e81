"""`wegweiser down`: end what `wegweiser run` started from this folder."""

from typing import Final

import typer

from deploy.embedded.daemon import Home
from wegweiser.platform import PID_FILE, forget_environment
from wegweiser.run import readable
from wegweiser.settings import platform_settings

_PLATFORM_SECONDS: Final = 120.0
_CHILD_SECONDS: Final = 45.0
_LAST: Final = ("mail", "issuer", "kafka", "mongod")


def down() -> None:
    """Stop the platform, and whatever an earlier one left behind when it was killed itself."""
    with readable():
        settings = platform_settings()
    stopped = [_ended(Home(folder)) for folder in (settings.var_dir, settings.of_the_demo.var_dir)]
    if not any(stopped):
        typer.echo("nothing of the platform runs")


def _ended(home: Home) -> bool:
    """End what was started with this home, and say so; False where nothing of it runs."""
    pid = home.pid_file(PID_FILE).end(patience=_PLATFORM_SECONDS)
    if pid:
        typer.echo(f"the platform (process {pid}) is stopped")
    left = [name for name in _in_order(home) if home.pid_file(name).end(patience=_CHILD_SECONDS)]
    if left:
        typer.echo(f"left by a platform that was killed, now stopped: {', '.join(left)}")
    forget_environment(home.path)
    return bool(pid or left)


def _in_order(home: Home) -> list[str]:
    """Children that are remembered: what others need comes last."""
    remembered = {file.stem for file in home.run.glob("*.pid")}
    return [*sorted(remembered.difference(_LAST)), *(name for name in _LAST if name in remembered)]
