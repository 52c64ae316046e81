"""Decides about cases in memory, in one thread: placing under a large and a small agreement, and the whole decision."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from random import Random
from statistics import median
from typing import Any, Final

from benchmarks.trials.process import Assignment, run
from benchmarks.trials.synthetic import an_agreement, some_facts
from services.routing.domain.agreement import Agreement, Agreements
from services.routing.domain.decisions import route
from services.routing.domain.placement import place
from services.routing.domain.situation import Situation
from shared.contracts.intake import CaseOpened, ConcernFacts, LegalBasis
from shared.envelope import Cause
from shared.pipeline.decisions import Received

_SLICES: Final = 20
_NOBODY: Final = frozenset[str | None]()


class Desk(Assignment):
    """Decide about so many cases under each agreement, given as partners and fields; events take real fields only."""

    cases: int
    large: tuple[int, int]
    small: tuple[int, int]
    real: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pile:
    """An agreement and the cases to decide under it."""

    agreement: Agreement
    cases: Sequence[CaseOpened]


async def trial(desk: Desk) -> dict[str, Any]:
    """Cases a second. The subjects take turns in slices and the median slice counts: other work on the machine meets
    all of them."""
    large, small, real = (_pile(desk.cases, *size) for size in (desk.large, desk.small, desk.real))
    gc.collect()
    gc.freeze()
    subjects: dict[str, tuple[Callable[[Pile, slice], None], Pile]] = {
        "large": (_place, large),
        "small": (_place, small),
        "whole": (_route, real),
    }
    rates: dict[str, list[float]] = {name: [] for name in subjects}
    width = desk.cases // _SLICES
    for number in range(_SLICES):
        part = slice(number * width, (number + 1) * width)
        for name, (decide, pile) in subjects.items():
            began = time.perf_counter()
            decide(pile, part)
            rates[name].append(width / (time.perf_counter() - began))
    return {name: median(found) for name, found in rates.items()}


def _place(pile: Pile, part: slice) -> None:
    """The taker of every concern of these cases, with its explanation."""
    situation, on = Situation(Agreements((pile.agreement,))), date(2026, 3, 2)
    for case in pile.cases[part]:
        for concern in case.concerns:
            place(concern, case, _NOBODY, pile.agreement, on, situation)


def _route(pile: Pile, part: slice) -> None:
    """Everything that follows from these cases: referrals, their terms, events, explanations."""
    situation, now = Situation(Agreements((pile.agreement,))), datetime(2026, 7, 6, 9, tzinfo=UTC)
    for case in pile.cases[part]:
        route(situation, Received(case, Cause.begin(), 1, "intake.cases.v1", 0, 0), None, now)


def _pile(number: int, partners: int, fields: int) -> Pile:
    chance = Random(number)
    return Pile(an_agreement(partners, fields), [_a_case(some_facts(chance, fields)) for _ in range(number)])


def _a_case(facts: dict[str, Any]) -> CaseOpened:
    """As the pipeline hands it over, but for the codes, which no contract knows."""
    basis, concerns = LegalBasis(**facts.pop("legal_basis")), facts.pop("concerns")
    return CaseOpened.model_construct(
        **facts | {"received_at": datetime.fromisoformat(facts["received_at"])},
        legal_basis=basis,
        concerns=tuple(ConcernFacts.model_construct(**concern) for concern in concerns),
    )


if __name__ == "__main__":
    run(trial, Desk)
