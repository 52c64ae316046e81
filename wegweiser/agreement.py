"""`wegweiser agreement`: look at a division of tasks before it counts, and let it count."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from services.routing.agreement_files import load_agreement, load_agreements
from services.routing.domain.agreement import Agreement
from services.routing.domain.agreement_check import check as findings_in
from services.routing.domain.agreement_check import errors_of
from services.routing.domain.agreement_tables import coverage
from services.routing.domain.agreement_tables import diff as changes_between
from services.routing.domain.simulation import Outcome, Recorded, Simulation
from shared.days import local_day
from shared.mongo import StoreError
from shared.topics import ServiceName
from wegweiser.activation import AgreementRefusedError
from wegweiser.activation import activate as activate_at
from wegweiser.addresses import stop
from wegweiser.columns import aligned
from wegweiser.deploy_lists import unlisted
from wegweiser.doors import NoAnswerError, doors
from wegweiser.run import readable
from wegweiser.service import not_started
from wegweiser.try_out import tables, write_csv

agreement = typer.Typer(help="The cooperation agreement as data.", no_args_is_help=True, add_completion=False)

FileOrFolder = Annotated[Path, typer.Argument(exists=True, help="a term as a TOML file, or a folder of them")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="the table for a document")]

_YEARS: Final = range(2000, 2076)
_DAY: Final = "%Y-%m-%d"
_COVERAGE: Final = ("field", "ages", "who", "only", "rule")
_CHANGES: Final = ("what", "before", "after")


@agreement.command()
def check(place: FileOrFolder, markdown: AsMarkdown = False) -> None:
    """Name what is wrong, what has a gap, and print who takes what; ends with 1 where there is an error.

    A single file is looked at beside the other files of its folder.
    """
    with readable():
        chosen = _chosen(place)
        beside = chosen if place.is_dir() else [load_agreement(file) for file in _others(place)]
        not_listed = {term.version: list(unlisted(term)) for term in chosen}
    table = _in_markdown if markdown else aligned
    wrong = 0
    for number, term in enumerate(chosen):
        others = [other for other in beside if other is not term]
        found = [*not_listed[term.version], *findings_in(term, others, local_day(datetime.now(UTC)))]
        typer.echo(f"{chr(10) if number else ''}{term.version}: {term.valid_from} to {term.valid_to}")
        for finding in found:
            typer.echo(f"  {finding}")
        wrong += len(errors_of(found))
        if not errors_of(found):
            typer.echo()
            for line in table(_COVERAGE, [(c.code, c.ages, c.takers, c.limits, c.rule) for c in coverage(term)]):
                typer.echo(line)
    if wrong:
        stop(f"\n{wrong} error(s)", code=1)


@agreement.command()
def diff(old: File, new: File) -> None:
    """What changes from one term to another: partners, terms, and for whom somebody else is asked."""
    with readable():
        rows = [(c.where, c.before, c.after) for c in changes_between(load_agreement(old), load_agreement(new))]
    for line in aligned(_CHANGES, rows) if rows else ("nothing changes",):
        typer.echo(line)


@agreement.command()
def activate(place: FileOrFolder) -> None:
    """Let a term count from its first day; one that is active already stays as it is."""
    with readable():
        chosen = _chosen(place)
        not_listed = [f"{term.version}: {finding}" for term in chosen for finding in unlisted(term)]
    if not_listed:
        stop("\n".join(not_listed), code=1)
    try:
        with doors("routing") as [door]:
            for term, is_new in activate_at(door, chosen):
                typer.echo(f"{term.version} {'is active now' if is_new else 'was active already'}")
    except AgreementRefusedError as error:
        stop(str(error), code=1)
    except NoAnswerError as error:
        stop(str(error))


@agreement.command()
def simulate(
    file: Annotated[Path, typer.Argument(metavar="NEW.toml", help="the term to try out")],
    first: Annotated[datetime, typer.Option("--from", formats=[_DAY], help="first day the cases were received on")],
    last: Annotated[datetime, typer.Option("--to", formats=[_DAY], help="last day")],
    csv: Annotated[Path | None, typer.Option(help="write all figures to this file as well")] = None,
) -> None:
    """Place recorded cases anew under another agreement, as if it had been in force on their days; changes nothing.

    Acts as routing: needs the settings it runs with, and does not disturb it.
    """
    with readable():
        term = load_agreement(file)
    if errors := errors_of(findings_in(term.model_copy(update={"replaces": None}), (), local_day(datetime.now(UTC)))):
        stop("\n".join((f"{file} cannot be tried out:", *(f"  {error}" for error in errors))), code=1)
    if first.year < _YEARS[0] or last.year > _YEARS[-1]:
        stop(f"--from and --to are days of the years {_YEARS[0]} to {_YEARS[-1]}", code=1)
    if last < first:
        stop(f"--to {last.date()} lies before --from {first.date()}", code=1)
    try:
        with not_started(ServiceName.ROUTING) as routing:
            outcome = asyncio.run(_tried_out(term, routing.states.recorded(first.date(), last.date())))
    except StoreError as error:
        stop(f"the database of routing does not answer as expected ({error})")
    if not outcome.cases:
        stop(f"no case was received from {first.date()} to {last.date()}", code=1)
    typer.echo(f"{term.version} tried out on {outcome.cases} cases received from {first.date()} to {last.date()}\n")
    for line in tables(outcome):
        typer.echo(line)
    if csv is not None:
        try:
            write_csv(outcome, csv)
        except OSError as error:
            stop(f"{csv} cannot be written: {error.strerror}", code=1)


async def _tried_out(term: Agreement, cases: AsyncIterator[Recorded]) -> Outcome:
    simulation = Simulation(term)
    async for recorded in cases:
        simulation.replay(recorded)
    return simulation.outcome


def _chosen(place: Path) -> list[Agreement]:
    return list(load_agreements(place)) if place.is_dir() else [load_agreement(place)]


def _others(file: Path) -> Iterator[Path]:
    return (other for other in sorted(file.parent.glob("????-??-??.toml")) if not other.samefile(file))


def _in_markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"
