"""`wegweiser tail` on real topics."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from io import StringIO

import pytest
from aiokafka.producer import message_accumulator, producer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from rich.console import Console
from toy.records import Written
from toy.trial import Trial, eventually

from shared.contracts.base import new_id
from wegweiser.tail import follow


class NotUtf8(str):
    """A header name as another client may write it; ours refuses any other type than `str`."""

    __slots__ = ()

    def encode(self, *_: str) -> bytes:
        """The bytes on the wire."""
        return b"\xff\xfe-" + str(self).encode()


@asynccontextmanager
async def tailing(trial: Trial, *, from_start: bool) -> AsyncIterator[Callable[[], list[str]]]:
    """What tail has printed of the trial's topic so far."""
    screen = StringIO()
    task = asyncio.create_task(follow(trial.kafka, Console(file=screen, width=40), from_start=from_start))
    try:
        yield lambda: [line for line in screen.getvalue().splitlines() if trial.names.incoming in line]
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_header_name_that_is_not_utf8_does_not_end_it(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (message_accumulator, producer):  # the one in C takes no names but UTF-8
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
    case_id = new_id()
    before, broken, after = Written(case_id), Written(case_id).with_header(NotUtf8("foreign"), b""), Written(case_id)

    async with tailing(trial, from_start=True) as lines:
        await trial.write(before, broken, after)
        await eventually(lambda: asyncio.sleep(0, len(lines()) >= 3), what="three lines")

    told = [line.rpartition("  ")[2] for line in lines()]
    assert told == ["toy takes german course", "not an event of ours: bad headers", "toy takes german course"]


async def test_it_begins_with_what_happens_now(trial: Trial) -> None:
    earlier = Written()
    await trial.write(earlier)

    async with tailing(trial, from_start=False) as lines:

        async def shown() -> bool:
            await trial.write(Written())
            return bool(lines())

        await eventually(shown, what="the first line", every=0.3)

    assert not [line for line in lines() if (earlier.key or b"").decode() in line]
