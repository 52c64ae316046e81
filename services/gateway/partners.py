"""The partners that were let in: a file for each, looked at again and again, so nobody has to restart the gateway."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from dotenv import dotenv_values
from pydantic import ValidationError

from shared.kafka_access import KafkaAccess
from shared.settings import lacking_in

log = structlog.get_logger()

LOOK_SECONDS: Final = 1.0


class BusyError(Exception):
    """The partner does too much at once."""


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner, and as whom the gateway acts for it on Kafka."""

    id: str
    access: KafkaAccess

    @property
    def admission(self) -> str:
        """Tells this time that it was let in from one before it was removed: the password is another one then."""
        password = self.access.kafka_sasl_password
        return hashlib.sha256(password.get_secret_value().encode()).hexdigest()[:16] if password else ""


Attend = Callable[[Partner], Coroutine[Any, Any, None]]
"""What is done for a partner as long as it is let in; it is cancelled when its file goes or changes."""


class Partners:
    """A worker of the gateway that knows who is let in."""

    def __init__(self, folder: Path, attend: Attend) -> None:
        self._folder = folder
        self._attend = attend
        self._files: dict[str, tuple[int, int]] = {}
        self._known: dict[str, Partner] = {}
        self._attending: dict[str, asyncio.Task[None]] = {}
        self._leaving: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)
        """By partner, what was done for it when it was let in before: that may take a while to end."""
        self._looking: asyncio.Task[None] | None = None

    def get(self, id_: str) -> Partner | None:
        """The partner, None where it is not let in."""
        return self._known.get(id_)

    def nudge(self) -> None:
        """Nothing but time brings new files."""

    async def start(self) -> None:
        """Look once, and from then on again and again."""
        await self._look()
        self._looking = asyncio.create_task(self._keep_looking())

    async def stop(self) -> None:
        """Attend to nobody any more."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        for id_ in list(self._attending):
            self._forget(id_)
        if leaving := set().union(*self._leaving.values()):
            await asyncio.wait(leaving)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
            except Exception:
                log.exception("partners_not_looked_for")

    async def _look(self) -> None:
        found = await asyncio.to_thread(_marks_in, self._folder)
        for id_ in self._files.keys() | found.keys():
            if self._files.get(id_) != found.get(id_):
                self._forget(id_)
                if id_ in found:
                    self._learn(id_)
        self._files = dict(found)

    def _learn(self, id_: str) -> None:
        try:
            said = {name.lower(): value for name, value in dotenv_values(self._folder / f"{id_}.env").items()}
            partner = Partner(id_, KafkaAccess.model_validate(said))
        except ValidationError as error:
            log.error("partner_file_wrong", partner=id_, settings=lacking_in(error))  # noqa: TRY400
        except (OSError, ValueError) as error:
            log.error("partner_file_unreadable", partner=id_, error=type(error).__name__)  # noqa: TRY400
        else:
            self._attending[id_] = asyncio.create_task(self._keep_attending(partner))

    async def _keep_attending(self, partner: Partner) -> None:
        while leaving := self._leaving[partner.id]:
            await asyncio.wait(leaving)
        self._known[partner.id] = partner
        log.info("partner_let_in", partner=partner.id)
        told: set[type[Exception]] = set()
        while True:
            try:
                await self._attend(partner)
            except Exception as error:
                if type(error) not in told:
                    log.exception("partner_not_attended", partner=partner.id)
                told.add(type(error))
            await asyncio.sleep(LOOK_SECONDS)

    def _forget(self, id_: str) -> None:
        """Begin to let go of a partner."""
        if self._known.pop(id_, None) is not None:
            log.info("partner_shut_out", partner=id_)
        task = self._attending.pop(id_, None)
        if task is not None:
            task.cancel()
            self._leaving[id_].add(task)
            task.add_done_callback(self._leaving[id_].discard)


def _marks_in(folder: Path) -> Mapping[str, tuple[int, int]]:
    """The files there are, and by what a changed one is known: its rights may have been changed as well."""
    marks = {}
    for path in folder.glob("*.env"):
        with suppress(FileNotFoundError):  # it has gone meanwhile
            at = path.stat()
            marks[path.stem] = (at.st_ctime_ns, at.st_ino)
    return marks
