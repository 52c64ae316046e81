"""`wegweiser run` and `wegweiser demo`: the whole platform on this machine, and the sample cases on their way."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import cached_property
from typing import Final

import httpx
import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.text import Text

from deploy.embedded.daemon import Home
from deploy.embedded.issuer import COMMAND_LINE
from deploy.embedded.java import kafka_jars
from deploy.errors import DeployError
from shared.files import InvalidFileError
from shared.rights import OPERATOR
from shared.web.client_credentials import ClientCredentials
from shared.web.loopback import DIRECT
from wegweiser.live import Seen, live_events
from wegweiser.platform import ADDRESS_FILE, PID_FILE, AlreadyRunningError, Platform
from wegweiser.samples import send, still_unmet
from wegweiser.settings import SAMPLE_CASES, SAMPLE_EXPECTATIONS, PlatformSettings, platform_settings
from wegweiser.timeline import Timeline

_PATIENCE_SECONDS: Final = 180.0
_QUIET_SECONDS: Final = 2.0
"""How long nothing more is told before the end is: appointments and mails follow the last answer of a partner."""


def run() -> None:
    """Start everything, send the sample cases through it, stay until Ctrl-C."""
    _start(ends_by_itself=False)


def demo() -> None:
    """Do the same in an empty folder and end by itself: with 0 if every sample case reached an allowed end."""
    _start(ends_by_itself=True)


def _start(*, ends_by_itself: bool) -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that Kafka is away is told by the supervisor
    os.umask(0o077)  # data, mails and logs tell of people: they are for whoever started this, as are the children's
    with readable():
        usual = platform_settings()
        settings, other = (usual.of_the_demo, usual) if ends_by_itself else (usual, usual.of_the_demo)
        if pid := Home(other.var_dir).pid_file(PID_FILE).read():
            raise AlreadyRunningError(pid)
        show = Show(settings)
        show.claim(empties=ends_by_itself)
        if settings.backend == "embedded":
            kafka_jars(settings.jar_cache)  # here, where Ctrl-C still ends a download
        code = asyncio.run(show.until_the_end(ends_by_itself=ends_by_itself))
    raise typer.Exit(code)


@contextmanager
def readable() -> Iterator[None]:
    """End the command with one line where settings or files are wrong, or something does not come up."""
    try:
        yield
    except (DeployError, InvalidFileError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


class Show:
    """A platform, the sample cases in it, and a terminal that tells of both."""

    def __init__(self, settings: PlatformSettings) -> None:
        self._settings = settings
        self._console = Console(highlight=False, soft_wrap=True)
        self._platform = Platform(settings, self._say)

    @cached_property
    def _sign_in(self) -> ClientCredentials:
        return ClientCredentials(self._platform.issuer.credentials(COMMAND_LINE))

    def claim(self, *, empties: bool) -> None:
        """Be the only one here; raises `DeployError` where another platform or process is in the way."""
        self._platform.claim()
        if empties:
            self._platform.empty()

    async def until_the_end(self, *, ends_by_itself: bool) -> int:
        """The exit code; raises `DeployError` where the platform does not come up."""
        travel = asyncio.create_task(self._travel(stays=not ends_by_itself))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, travel.cancel)
        try:
            return await travel
        except asyncio.CancelledError:
            return 1 if ends_by_itself else 0
        finally:
            try:
                self._say("stopping …")
            finally:  # also when nobody reads our lines any more
                await self._platform.stop()
            self._say("stopped; the data stay in " + str(self._settings.var_dir))

    async def _travel(self, *, stays: bool) -> int:
        await self._platform.start()
        async with AsyncExitStack() as stack:
            intake = await stack.enter_async_context(
                httpx.AsyncClient(base_url=self._settings.url_of("intake"), auth=self._sign_in, mounts=DIRECT)
            )
            timeline = Timeline(intake, self._console.print)
            telling = asyncio.create_task(timeline.follow(await self._events(stack)))
            try:
                await self._platform.start_partners()
                missing = await self._send_samples()
                await timeline.quiet(_QUIET_SECONDS)
                self._say_how_it_ended(missing)
                if stays:
                    self._say("\n".join(self._addresses()))
                    await telling
            finally:
                telling.cancel()
                await asyncio.wait([telling])
        return 1 if missing else 0

    async def _events(self, stack: AsyncExitStack) -> AsyncIterator[Seen]:
        while True:
            try:
                return await stack.enter_async_context(live_events(self._platform.backends.kafka_of(OPERATOR)))
            except KafkaError:  # it was killed just now; the supervisor brings it back
                await asyncio.sleep(1)

    async def _send_samples(self) -> list[str]:
        counts = await send(self._settings.url_of("intake"), self._sign_in, SAMPLE_CASES)
        self._say("sample cases sent: " + ", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
        if not counts["created"]:
            self._say(self._how_to_start_afresh())
        return await still_unmet(
            self._settings.url_of("intake"), self._sign_in, SAMPLE_EXPECTATIONS, patience=_PATIENCE_SECONDS
        )

    def _how_to_start_afresh(self) -> str:
        told = "all of them came in an earlier run"
        if self._settings.backend != "embedded":
            return told
        return (
            f"{told}; to start afresh: make down; rm -r {self._settings.var_dir / 'data'} {self._settings.mail_folder}"
        )

    def _say_how_it_ended(self, missing: list[str]) -> None:
        for line in missing:
            self._say(line)
        mails = len(list(self._settings.mail_folder.glob("*.eml")))
        ended = f"{len(missing)} expectations are not met" if missing else "every sample case reached an allowed end"
        self._say(f"{ended}; {mails} mails lie in {self._settings.mail_folder}/")

    def _addresses(self) -> Iterator[str]:
        yield ""
        for name, url in self._settings.urls.items():
            yield f"{name.removesuffix('_URL').lower():12}{url}/docs"
        yield f"{'issuer':12}{self._platform.issuer.url}"
        yield f"{'Kafka':12}{self._platform.backends.kafka.kafka_bootstrap}"
        yield f"{'MongoDB':12}{self._platform.backends.mongo.rpartition('@')[2].partition('/')[0]}"
        yield f"{'mails':12}{self._settings.mail_folder}/"
        yield f"{'logs':12}{self._settings.var_dir / 'log'}/"
        yield f"{'addresses':12}{self._settings.var_dir / ADDRESS_FILE}"
        yield "Ctrl-C ends it."

    def _say(self, line: str) -> None:
        self._console.print(Text(line, "bold"))
