"""The partners that were let in: a file for each, looked at again and again, so nobody has to restart the gateway."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from dotenv import dotenv_values
from pydantic import ValidationError

from shared.kafka_access import KafkaAccess

log = structlog.get_logger()

LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner, and as whom the gateway acts for it on Kafka."""

    id: str
    access: KafkaAccess


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
        for task in (self._looking, *self._attending.values()):
            await _ended(task)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        found = await asyncio.to_thread(_marks_in, self._folder)
        for id_ in self._files.keys() | found.keys():
            if self._files.get(id_) != found.get(id_):
                await self._forget(id_)
                if id_ in found:
                    self._learn(id_)
        self._files = dict(found)

    def _learn(self, id_: str) -> None:
        said = {name.lower(): value for name, value in dotenv_values(self._folder / f"{id_}.env").items()}
        try:
            partner = Partner(id_, KafkaAccess.model_validate(said))
        except ValidationError as error:
            log.error("partner_file_wrong", partner=id_, settings=[str(item["loc"]) for item in error.errors()])  # noqa: TRY400
            return
        self._known[id_] = partner
        self._attending[id_] = asyncio.create_task(self._attend(partner))
        log.info("partner_let_in", partner=id_)

    async def _forget(self, id_: str) -> None:
        if self._known.pop(id_, None) is not None:
            await _ended(self._attending[id_])
            del self._attending[id_]
            log.info("partner_shut_out", partner=id_)


async def _ended(task: "asyncio.Task[None] | None") -> None:
    if task is not None:
        if not task.cancelling():  # a second time would break into its farewell
            task.cancel()
        await asyncio.wait([task])  # to await it would take an end of our own for the task's


def _marks_in(folder: Path) -> Mapping[str, tuple[int, int]]:
    """The files there are, and by what a changed one is known."""
    with suppress(FileNotFoundError):
        return {path.stem: ((at := path.stat()).st_mtime_ns, at.st_ino) for path in folder.glob("*.env")}
    return {}
