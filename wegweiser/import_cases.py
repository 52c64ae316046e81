"""`wegweiser import FILE`: bring a file of cases into intake, a line each (NDJSON)."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from shared.web.client_credentials import ClientCredentials
from shared.web.loopback import DIRECT
from wegweiser.addresses import IntakeDoor, SignIn, found, stop

LINES_PER_REQUEST: Final = 100
"""As many as intake has under way at a time: it can take all of them in while it waits for us to read the answer."""
_PATIENCE_SECONDS: Final = 60.0
_STATUSES: Final = ("created", "unchanged", "redirected", "rejected")


def import_cases(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="one case a line, as JSON")],
    intake_url: Annotated[str | None, typer.Option(help="instead of INTAKE_URL")] = None,
) -> None:
    """Import cases; may be repeated: lines that came before stay unchanged. Ends with 1 if a line was rejected."""
    sign_in = ClientCredentials(found(SignIn).credentials)
    url = intake_url or found(IntakeDoor).intake_url
    console = Console(stderr=True)
    counts: Counter[str] = Counter()
    with (
        file.open("rb") as source,
        httpx.Client(base_url=url, auth=sign_in, timeout=_PATIENCE_SECONDS, mounts=DIRECT) as intake,
        _progress(console) as progress,
    ):
        task = progress.add_task("importing", total=file.stat().st_size)
        for first, chunk in _chunks(source):
            for outcome in _sent(intake, chunk):
                counts[outcome["status"]] += 1
                if outcome["status"] == "rejected":
                    complaint = _complaint(first + outcome["line"], outcome["problem"])
                    progress.console.print(complaint, markup=False, highlight=False, soft_wrap=True)
            progress.update(task, advance=len(chunk))
    typer.echo(", ".join(f"{counts[status]} {status}" for status in _STATUSES))
    if counts["rejected"]:
        raise typer.Exit(1)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=console
    )


def _chunks(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Pieces of the file, each with the number of lines before it."""
    before, lines = 0, list[bytes]()
    for line in source:
        lines.append(line)
        if len(lines) == LINES_PER_REQUEST:
            yield before, b"".join(lines)
            before, lines = before + len(lines), []
    if lines:
        yield before, b"".join(lines)


def _sent(intake: httpx.Client, chunk: bytes) -> Iterator[dict[str, Any]]:
    try:
        with intake.stream(
            "POST", "/v1/cases:import", content=chunk, headers={"Content-Type": "application/x-ndjson"}
        ) as answer:
            answer.raise_for_status()
            yield from map(json.loads, answer.iter_lines())
    except httpx.HTTPError as error:
        stop(f"intake at {intake.base_url} does not answer ({type(error).__name__}); import the file again later")


def _complaint(line: int, problem: dict[str, Any]) -> str:
    errors = "; ".join(f"{error.get('pointer', '')} {error['detail']}" for error in problem.get("errors", ()))
    return f"line {line}: {problem['status']} {errors or problem['detail']}"
