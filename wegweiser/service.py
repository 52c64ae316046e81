"""`wegweiser service NAME`: one service in the foreground, as every deployment starts it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import FrameType
from typing import Annotated, Any, Final

import typer
import uvicorn
from dotenv import dotenv_values
from pydantic import ValidationError

from deploy.embedded.ports import PortTakenError, holder_of
from shared.files import InvalidFileError
from shared.memory import share_heap
from shared.service import BareService
from shared.topics import DoorName, ServiceName
from wegweiser.settings import SERVICE_FILES, platform_settings, wrong_in

_OPEN_REQUESTS_SECONDS: Final = 10


def service(name: Annotated[DoorName, typer.Argument(help="which one")]) -> None:
    """Run one service until SIGTERM; its settings come from the environment."""
    share_heap()
    app = application(name)
    settings = app.state.settings
    command = f"wegweiser service {name}"
    if holder := holder_of(settings.port):
        _refuse(str(PortTakenError(name, settings.port, holder, setting="PORT", command=command, earlier_run=False)))
    server = Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            access_log=False,  # the services write their own line a request, without what a URL may tell
            log_config=None,
            timeout_graceful_shutdown=_OPEN_REQUESTS_SECONDS,
        ),
        app.state.service,
    )
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise typer.Exit(1)


class Server(uvicorn.Server):
    """Tells the service at once when it is to end, so that nobody is kept waiting; the application learns last."""

    def __init__(self, config: uvicorn.Config, of: BareService) -> None:
        super().__init__(config)
        self._service = of

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        self._service.is_ending = True
        super().handle_exit(sig, frame)


def application(name: str) -> Any:
    """The application of a service, not started; ends the command with one line where its settings are wrong."""
    try:
        return import_module(f"services.{name}.app").create_app()
    except ValidationError as error:
        wrong = f"{name} cannot start; its environment lacks or misstates: {wrong_in(error)}"
        _refuse(f"{wrong}; start `make run` first (`make run-{name}` reads its addresses), or set them")
    except InvalidFileError as error:
        _refuse(f"{name} cannot start; {error}")


@contextmanager
def not_started(name: ServiceName) -> Iterator[Any]:
    """A service as what a command acts as, with what `make run` told it; where nothing runs here, the environment's."""
    file = platform_settings().var_dir / SERVICE_FILES / f"{name}.env"
    told = {setting: value or "" for setting, value in dotenv_values(file).items()}
    before = dict(os.environ)
    os.environ.update(told)
    try:
        made = application(name).state.service
    finally:
        os.environ.clear()
        os.environ.update(before)
    try:
        yield made
    finally:
        made.database.client.close()


def _refuse(why: str) -> None:
    typer.echo(why, err=True)
    raise typer.Exit(1)
