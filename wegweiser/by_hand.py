"""`wegweiser stop SERVICE` and `wegweiser start SERVICE`: one service of the platform that `make run` keeps running."""

from typing import Annotated

import typer

from deploy.embedded.daemon import Home
from shared.topics import DoorName
from wegweiser import addresses
from wegweiser.children import ServiceProcess
from wegweiser.platform import PID_FILE
from wegweiser.run import readable
from wegweiser.settings import platform_settings

Which = Annotated[DoorName, typer.Argument(help="which one")]


def stop(service: Which) -> None:
    """Stop one service, which finishes its batch; it stays down until `wegweiser start`, the others go on."""
    home = _home_of_a_platform()
    home.stopped(service).touch()
    home.pid_file(service).end(patience=ServiceProcess.stop_seconds)
    typer.echo(f"{service} is stopped; `wegweiser start {service}` starts it again")


def start(service: Which) -> None:
    """Let the platform start a service again that was stopped by hand."""
    _home_of_a_platform().stopped(service).unlink(missing_ok=True)
    typer.echo(f"{service} is started; `make run` says when it is back")


def _home_of_a_platform() -> Home:
    with readable():
        home = Home(platform_settings().var_dir)
    if home.pid_file(PID_FILE).read() is None:
        addresses.stop("no platform runs here; `make run` starts one", code=1)
    return home
