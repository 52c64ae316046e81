"""`wegweiser tail`: live events of all topics, a line each."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Final

import structlog
import typer
from aiokafka.structs import ConsumerRecord
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from shared.contracts import BY_TYPE
from shared.envelope import UnreadableError, is_id, unwrap
from shared.kafka_access import KafkaAccess
from wegweiser.addresses import Bus, found
from wegweiser.bus import ask
from wegweiser.live import live_records
from wegweiser.wording import TIMES, plain, sentence

_COLOURS: Final = {"intake": "green", "routing": "cyan", "scheduling": "magenta", "notify": "blue", "partner": "yellow"}
_NO_ID: Final = "-" * 36


def tail(
    from_start: Annotated[bool, typer.Option("--from-start", help="also what lies there already")] = False,
) -> None:
    """Show events as they come, until Ctrl-C; ids and codes only, times in UTC."""
    structlog.configure(
        logger_factory=structlog.ReturnLoggerFactory()
    )  # what cannot be read has a line of its own here
    with suppress(KeyboardInterrupt):
        ask(follow(found(Bus), Console(highlight=False, markup=False), from_start=from_start))


async def follow(access: KafkaAccess, console: Console, *, from_start: bool) -> None:
    """Print every record of every topic."""
    async with live_records(access, from_start=from_start) as records:
        typer.echo(f"listening; {TIMES}", err=True)  # what happens from now on is shown
        async for record in records:
            console.print(line_of(record), soft_wrap=True)


def line_of(record: ConsumerRecord) -> Text:
    """One record in one line; nothing of what a foreign writer put into it is repeated."""
    try:
        told, style = _told(record), ""
    except UnreadableError as problem:
        told, style = f"not an event of ours: {plain(problem.reason)}", "red"
    when = datetime.fromtimestamp(record.timestamp / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    publisher = record.topic.partition(".")[0]
    return Text.assemble(
        (f"{when}  ", "dim"),
        (f"{_subject(record)}  ", "dim"),
        (f"{record.topic:<38}  ", _COLOURS.get(publisher, "")),
        (told, style),
    )


def _told(record: ConsumerRecord) -> str:
    envelope = unwrap(record.topic, record.headers, record.value)
    contract = BY_TYPE.get(envelope.type)
    if contract is None:
        return "an event of a type that is not known here"
    try:
        return sentence(contract.event.model_validate_json(envelope.data))
    except ValidationError:
        return f"a {contract.type} that breaks its contract"


def _subject(record: ConsumerRecord) -> str:
    """The record's key where it is an id; any other may hold a name."""
    key = (record.key or b"").decode("utf-8", "replace")
    return key if is_id(key) else _NO_ID
