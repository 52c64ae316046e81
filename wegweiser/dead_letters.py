"""`wegweiser dead-letters`: find and repair what could not be processed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import httpx
import typer

from shared.topics import ServiceName
from wegweiser.addresses import stop
from wegweiser.columns import aligned
from wegweiser.doors import Door, NoAnswerError, RefusedError, doors

dead_letters = typer.Typer(help="Records that could not be processed.", no_args_is_help=True, add_completion=False)

Id = Annotated[str, typer.Argument(help="the dead letter's id")]
OneId = Annotated[str | None, typer.Argument(help="the dead letter's id")]
All = Annotated[bool, typer.Option("--all", help="all of one service that wait, in order of arrival")]
Of = Annotated[ServiceName | None, typer.Option(help="only this service's")]

_HEAD = ("service", "id", "reason", "topic", "partition", "offset", "since")


@dead_letters.command("list")
def list_(service: Of = None) -> None:
    """What waits for an operator, oldest first."""
    rows: list[tuple[str | int, ...]] = []
    silent: list[str] = []
    cut: list[str] = []
    with _doors(service) as asked:
        for door in asked:
            try:
                page = door.get("/v1/dead-letters")
            except NoAnswerError as error:
                silent.append(str(error))
                continue
            rows += [
                (door.service, row["id"], row["reason"], row["topic"], row["partition"], row["offset"], row["at"])
                for row in page["dead_letters"]
            ]
            if not page["complete"]:
                cut.append(f"… and more of {door.service}, which shows its {len(page['dead_letters'])} oldest")
    for line in aligned(_HEAD, sorted(rows, key=lambda row: row[-1])) if rows else ("nothing waits",):
        typer.echo(line)
    for line in cut:
        typer.echo(line)
    if silent:
        stop("; ".join(silent))


@dead_letters.command()
def show(id_: Id, service: Of = None) -> None:
    """Where a record came from, why it waits and what it is made of; its bytes stay with the service."""
    with _holder(id_, service) as (door, letter):
        for name, value in {"service": door.service, **letter}.items():
            typer.echo(f"{name + ':':<13} {_shown(value)}")


@dead_letters.command()
def replay(id_: OneId = None, service: Of = None, all_: All = False) -> None:
    """Process a record again, and then what is parked behind it."""
    if id_ is None or all_:
        took_effect, _, waiting = _each("replay", id_, service, all_=all_)
        typer.echo(f"{service} processed {took_effect}, {waiting} still wait")
        raise typer.Exit(1 if waiting else 0)
    with _holder(id_, service) as (door, letter):
        took_effect = door.post(f"/v1/dead-letters/{id_}/replay")["took_effect"]
    if not took_effect:
        stop(f"{door.service} still cannot process it: {letter['reason']}", code=1)
    typer.echo(f"{door.service} processed it, and {took_effect - 1} parked behind it")


@dead_letters.command()
def discard(id_: OneId = None, service: Of = None, all_: All = False) -> None:
    """Give a record up and process what is parked behind it."""
    if id_ is None or all_:
        took_effect, obeyed, waiting = _each("discard", id_, service, all_=all_)
        typer.echo(f"{service} gave {obeyed} up and processed {took_effect} parked behind them, {waiting} still wait")
        raise typer.Exit(1 if waiting else 0)
    with _holder(id_, service) as (door, _):
        took_effect = door.post(f"/v1/dead-letters/{id_}/discard")["took_effect"]
    typer.echo(f"{door.service} gave it up and processed {took_effect} parked behind it")


def _each(order: str, id_: str | None, service: ServiceName | None, *, all_: bool) -> tuple[int, int, int]:
    """Give the order for all records of a service that wait now; how many took effect, obeyed, and wait still."""
    if id_ is not None or service is None or not all_:
        stop(f"name one dead letter, or all of a service: dead-letters {order} --all --service routing", code=1)
    took_effect = obeyed = 0
    try:
        with _doors(service) as [door]:
            before = _waiting(door)
            for waiting in before:
                try:
                    took_effect += door.post(f"/v1/dead-letters/{waiting}/{order}")["took_effect"]
                    obeyed += 1
                except RefusedError as error:
                    if error.status not in (httpx.codes.CONFLICT, httpx.codes.NOT_FOUND):
                        raise
                    # It went with one that it was parked behind, or stays behind one that still fails.
            return took_effect, obeyed, len({*before}.intersection(_waiting(door)))
    except (NoAnswerError, RefusedError) as error:
        stop(f"{error}; {obeyed} orders were carried out before", code=2)


def _waiting(door: Door) -> list[str]:
    """The ids of all that wait at this service, oldest first."""
    ids: list[str] = []
    while True:
        page = door.get("/v1/dead-letters", skip=str(len(ids)))
        ids += [row["id"] for row in page["dead_letters"]]
        if page["complete"]:
            return ids


@contextmanager
def _doors(service: ServiceName | None) -> Iterator[list[Door]]:
    with doors(*([service.value] if service else [])) as asked:
        yield asked


@contextmanager
def _holder(id_: str, service: ServiceName | None) -> Iterator[tuple[Door, dict[str, Any]]]:
    """The one service that set this record aside, and what it says of it; refusals end the command."""
    try:
        with _doors(service) as asked:
            holders = [(door, letter) for door in asked if (letter := _asked_for(id_, door)) is not None]
            if len(holders) > 1:
                names = " and ".join(door.service for door, _ in holders)
                stop(f"set aside by {names}: say which one with --service", code=1)
            if not holders:
                stop("no service has set such a record aside", code=1)
            yield holders[0]
    except NoAnswerError as error:
        stop(f"{error}; --service asks one service only")
    except RefusedError as error:
        stop(str(error), code=1)


def _asked_for(id_: str, door: Door) -> dict[str, Any] | None:
    try:
        return door.get(f"/v1/dead-letters/{id_}")
    except RefusedError as error:
        if error.status == httpx.codes.NOT_FOUND:
            return None
        raise


def _shown(value: Any) -> str:
    """One line a field; what another writer chose must not steer the terminal."""
    if isinstance(value, dict):
        return f"{_shown(value['name'])} ({value['bytes']} bytes)"
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    text = str(value)
    return text if text.isprintable() else ascii(text)
