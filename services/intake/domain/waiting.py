"""Which concerns wait for which: named by ref in a request, by id in a case."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from services.intake.domain.requests import SaidConcern
from shared.web.faults import Fault, pointer


def waiting(
    concerns: Sequence[SaidConcern], concern_ids: Sequence[str], there: Collection[str] = ()
) -> dict[str, tuple[str, ...]]:
    """The ids that each concern of a request waits for, by its own id; those that do not say it are left out.

    `there` are the ids of the concerns that the case has already.
    """
    named = _named(concerns, concern_ids, there)
    return {
        id_: tuple(dict.fromkeys(named[name] for name in concern.after if named.get(name, id_) != id_))
        for concern, id_ in zip(concerns, concern_ids, strict=True)
        if concern.after is not None
    }


def faults_in_waiting(
    concerns: Sequence[SaidConcern], concern_ids: Sequence[str], there: Mapping[str, Sequence[str]]
) -> Iterator[Fault]:
    """Refs that come twice, waiting for nobody or for itself, and loops. `there` is what the case has already: the ids
    that each concern waits for, by its own id."""
    seen: set[str] = set()
    named = _named(concerns, concern_ids, there)
    for index, (concern, id_) in enumerate(zip(concerns, concern_ids, strict=True)):
        if concern.ref is not None and concern.ref in seen:
            yield Fault(pointer("concerns", index, "ref"), "a ref that no other concern has")
        seen.add(concern.ref or "")
        for place, name in enumerate(concern.after or ()):
            if named.get(name, id_) == id_:
                yield Fault(pointer("concerns", index, "after", place), "another concern of the request or the case")
    try:
        TopologicalSorter({**there, **waiting(concerns, concern_ids, there)}).prepare()
    except CycleError as error:
        index = next(i for i, c in enumerate(concerns) if c.after is not None and concern_ids[i] in error.args[1])
        yield Fault(pointer("concerns", index, "after"), "concerns that do not wait for this one in turn")


def _named(concerns: Sequence[SaidConcern], concern_ids: Sequence[str], there: Collection[str]) -> dict[str, str]:
    """The id that each name stands for."""
    refs = {concern.ref: id_ for concern, id_ in zip(concerns, concern_ids, strict=True) if concern.ref is not None}
    return {id_: id_ for id_ in there} | refs
