"""What `wegweiser agreement simulate` says about a division of tasks that was tried out."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Final, TypeAlias

from services.routing.domain.agreement import OFFICE
from services.routing.domain.simulation import HELD, SHEET, UNPLACED, Days, Outcome, days_within
from wegweiser.columns import aligned

Cell: TypeAlias = str | int
_NO_PARTNER: Final = (OFFICE, SHEET, HELD, UNPLACED)
_UNKNOWN: Final = "unknown"
_GAPS_SHOWN: Final = 20
_PARTS: Final = {"median": Fraction(1, 2), "9 of 10": Fraction(9, 10)}
_FILE_HEAD: Final = ("table", "who", "field", "town", "language", "reason", "figure", "now", "then", "difference")


def tables(outcome: Outcome) -> Iterator[str]:
    """Everything as tables of plain lines."""
    yield "who would get how many"
    yield from aligned(("who", "cases now", "then", "more", "concerns now", "then", "more"), list(_shares(outcome)))
    yield "\nby field of work"
    yield from aligned(("field", "who", "concerns now", "then", "more"), list(_fields(outcome)))
    gaps = list(_gaps(outcome))
    yield "\nconcerns nobody would take"
    yield from aligned(("why", "field", "town", "language", "now", "then", "more"), gaps[:_GAPS_SHOWN])
    if len(gaps) > _GAPS_SHOWN:
        yield f"and {len(gaps) - _GAPS_SHOWN} more lines; --csv writes all of them"
    yield "\nworking days from the offer, as recorded of each partner"
    head = ("until", "who", *(f"{part} {when}" for part in _PARTS for when in ("now", "then")))
    yield from aligned((*head, "records"), list(_waits(outcome)))
    if uncounted := list(_uncounted(outcome)):
        yield "\nnot counted there, for their partners have no records"
        yield from aligned(("until", "cases now", "then", "more"), uncounted)


def write_csv(outcome: Outcome, file: Path) -> None:
    """The same, a line for each pair of figures; raises `OSError`."""
    with file.open("w", encoding="utf-8-sig", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(_FILE_HEAD)
        for who, cases, cases_then, more, concerns, concerns_then, more_concerns in _shares(outcome):
            writer.writerow(("shares", who, "", "", "", "", "cases", cases, cases_then, more))
            writer.writerow(("shares", who, "", "", "", "", "concerns", concerns, concerns_then, more_concerns))
        for code, who, *figures in _fields(outcome):
            writer.writerow(("fields", who, code, "", "", "", "concerns", *figures))
        for reason, code, town, language, *figures in _gaps(outcome):
            writer.writerow(("unplaced", "", code, town, language, reason, "concerns", *figures))
        for until, who, *figures, _ in _waits(outcome):
            for number, part in enumerate(_PARTS):
                now, then = figures[2 * number : 2 * number + 2]
                writer.writerow(("waiting", who, "", "", "", "", f"working days until {until}, {part}", now, then, ""))
        for until, *figures in _uncounted(outcome):
            writer.writerow(("without records", "", "", "", "", "", f"cases until {until}", *figures))


def _shares(outcome: Outcome) -> Iterator[Sequence[Cell]]:
    now, then = outcome.now, outcome.then
    for who in _everybody(outcome):
        concerns, concerns_then = (sum(n for (w, _), n in d.concerns.items() if w == who) for d in (now, then))
        yield who, *_change(now.cases[who], then.cases[who]), *_change(concerns, concerns_then)
    total, total_then = now.concerns.total(), then.concerns.total()
    yield "all", *_change(outcome.cases, outcome.cases), *_change(total, total_then)


def _fields(outcome: Outcome) -> Iterator[Sequence[Cell]]:
    now, then = outcome.now.concerns, outcome.then.concerns
    everybody = list(_everybody(outcome))
    for code in sorted({code for _, code in chain(now, then)}):
        for who in everybody:
            if now[who, code] or then[who, code]:
                yield code, who, *_change(now[who, code], then[who, code])


def _gaps(outcome: Outcome) -> Iterator[Sequence[Cell]]:
    """Where most would be first."""
    now, then = outcome.now.gaps, outcome.then.gaps
    for gap in sorted({*now, *then}, key=lambda gap: (-then[gap], -now[gap], gap.code, gap.town, gap.language)):
        yield gap.reason, gap.code, gap.town, gap.language, *_change(now[gap], then[gap])


def _waits(outcome: Outcome) -> Iterator[Sequence[Cell]]:
    """Each partner waits as it did; all together as long as those who get the cases."""
    partners = _partners(outcome)
    for until, days in _recorded(outcome):
        for who in partners:
            recorded = [(1, days[who])] if who in days else []
            figures = [_within(part, recorded) for part in _PARTS.values()]
            yield until, who, *chain.from_iterable((figure, figure) for figure in figures), _times(days, (who,))
        yield (
            until,
            "all",
            *(_within(part, _by(cases, days)) for part in _PARTS.values() for cases in _cases(outcome)),
            _times(days, partners),
        )


def _uncounted(outcome: Outcome) -> Iterator[Sequence[Cell]]:
    """How many cases nobody knows the waiting of, for their partners have no records of it."""
    for until, days in _recorded(outcome):
        if unknown := [who for who in _partners(outcome) if who not in days]:
            now, then = (sum(cases[who] for who in unknown) for cases in _cases(outcome))
            yield until, *_change(now, then)


def _recorded(outcome: Outcome) -> tuple[tuple[str, Mapping[str, Days]], ...]:
    return ("answer", outcome.until_answer), ("appointment", outcome.until_appointment)


def _cases(outcome: Outcome) -> tuple[Counter[str], Counter[str]]:
    return outcome.now.cases, outcome.then.cases


def _by(cases: Mapping[str, int], days: Mapping[str, Days]) -> Iterable[tuple[int, Days]]:
    return [(number, days[who]) for who, number in cases.items() if who in days]


def _within(part: Fraction, waits: Iterable[tuple[int, Days]]) -> Cell:
    found = days_within(part, waits)
    return _UNKNOWN if found is None else found


def _times(days: Mapping[str, Days], partners: Iterable[str]) -> int:
    return sum(days[who].total() for who in partners if who in days)


def _change(now: int, then: int) -> tuple[int, int, int]:
    return now, then, then - now


def _partners(outcome: Outcome) -> list[str]:
    return [who for who in _everybody(outcome) if who not in _NO_PARTNER]


def _everybody(outcome: Outcome) -> Iterator[str]:
    """Partners by name, then the rest, those that have or would get anything."""
    holders = {*outcome.now.cases, *outcome.then.cases}
    yield from sorted(holders.difference(_NO_PARTNER))
    yield from (who for who in _NO_PARTNER if who in holders)
