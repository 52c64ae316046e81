"""`wegweiser trace CASE`: what happened to a case, across services, in order."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from shared.envelope import is_id
from shared.pipeline.set_aside import held_up
from shared.topics import owner_of, partner_topics
from wegweiser.addresses import stop
from wegweiser.chronicle import Entry, entry_of, in_order
from wegweiser.doors import Door, NoAnswerError, RefusedError, doors
from wegweiser.wording import TIMES


def trace(case: Annotated[str, typer.Argument(help="case id, or the reference of the system that sent it")]) -> None:
    """Tell what happened to a case: who did what, when, on which topic; times in UTC."""
    console = Console(highlight=False, markup=False)
    with doors() as asked:
        silent: dict[str, str] = {}
        known = [case] if is_id(case) else []
        stories = {id_: _story(id_, asked, silent) for id_ in known}
        if not any(stories.values()):
            stories = {id_: _story(id_, asked, silent) for id_ in _cases_named(case, asked, silent)}
    for id_, lines in stories.items():
        console.print(Text.assemble((f"case {id_}", "bold"), (f"  {TIMES}", "dim")), soft_wrap=True)
        for line in lines:
            console.print(line, soft_wrap=True)
    for why in silent.values():
        console.print(Text(f"incomplete: {why}", style="red"), soft_wrap=True)
    if not any(stories.values()):
        stop("nothing is known of this case" + (" to those who answered" if silent else ""), code=1)


def _story(case_id: str, asked: Sequence[Door], silent: dict[str, str]) -> list[Text]:
    """The lines of one case; notes in `silent` who could not be asked."""
    entries: list[Entry] = []
    waiting: list[Text] = []
    subjects = {case_id}
    for door in asked:
        try:
            journal = door.get(f"/v1/journal/{case_id}")
        except NoAnswerError as error:
            silent[door.service] = str(error)
            continue
        entries += [entry_of(door.service, row) for row in journal["events"]]
        subjects |= {subject for row in journal["events"] for subject in _subjects_of(row)}
        if not journal["complete"]:
            silent[f"{door.service}: {case_id}"] = f"{door.service} shows the beginning of a very long journal only"
    for door in asked:
        waiting += _dead_letters(door, sorted(subjects), silent)
    return [_line(entry) for entry in in_order(entries)] + waiting


def _subjects_of(row: Mapping[str, Any]) -> Iterator[str]:
    """The event's own subject and, in a partner's queue, the one that the partner's answer would hold up."""
    yield row["subject"]
    partner = owner_of(row["topic"])
    if partner is not None:
        _, replies = partner_topics(partner)
        yield held_up(replies.name, row["subject"])


def _line(entry: Entry) -> Text:
    unsent = "" if entry.is_sent else ", not on the bus yet"
    return Text.assemble(
        (f"{_utc(entry.time)}  ", "dim"),
        (f"{entry.service:<10}  ", "cyan"),
        entry.sentence,
        (f"  [{entry.topic}{unsent}]", "dim"),
    )


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _dead_letters(door: Door, subjects: Sequence[str], silent: dict[str, str]) -> Iterator[Text]:
    """What waits for an operator and holds the case up."""
    if door.service in silent:
        return
    try:
        found: Sequence[Mapping[str, Any]] = door.get("/v1/dead-letters", subject=subjects)["dead_letters"]
    except NoAnswerError as error:
        silent[door.service] = str(error)
        return
    for letter in found:
        place = f"{letter['topic']}, partition {letter['partition']}, offset {letter['offset']}"
        what = f"waits for an operator: {letter['reason']}, dead letter {letter['id']}"
        since = datetime.fromisoformat(letter["at"])
        yield Text(f"{_utc(since)}  {door.service:<10}  {what}  [{place}]", style="yellow")


def _cases_named(reference: str, asked: Sequence[Door], silent: dict[str, str]) -> list[str]:
    [intake] = [door for door in asked if door.service == "intake"]
    try:
        return [case["case_id"] for case in intake.get("/v1/cases", source_reference=reference)["cases"]]
    except NoAnswerError as error:
        silent[intake.service] = str(error)
    except RefusedError as error:
        stop(str(error), code=1)
    return []
