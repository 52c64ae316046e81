"""What no single field shows: references to nobody, repetitions, dates that have not come yet."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime

from services.intake.domain.requests import (
    NOT_DENOMINATIONAL,
    Amendment,
    NewCase,
    SaidConcern,
    SaidLegalBasis,
    SaidPerson,
)
from services.intake.domain.waiting import faults_in_waiting
from shared.days import local_day
from shared.web.faults import Fault, pointer


def contradictions_in(
    case: NewCase, now: datetime, *, imported: bool, partners: Collection[str], denominational: Sequence[str]
) -> list[Fault]:
    """Everything that is wrong with a new case as of `now`. Only an import may say when the case was received."""
    today = local_day(now)
    excluded = (*case.excluded_partners, *excluded_by_wish(case, denominational))
    return [
        *_of_reception(case, now, imported=imported),
        *_of_persons(case.persons, today),
        *_of_concerns(case.concerns, {person.ref for person in case.persons}),
        *_of_basis(case.legal_basis, today, partners),
        *_unknown_partners(case, partners),
        *both_ways("preferred_partners", case.preferred_partners, excluded),
    ]


def contradictions_in_amendment(amendment: Amendment, now: datetime, *, partners: Collection[str]) -> list[Fault]:
    """What is wrong with an amendment, before the case itself is known."""
    basis = amendment.legal_basis
    return [
        *_repetitions(amendment.concerns or ()),
        *(_of_basis(basis, local_day(now), partners) if basis is not None else ()),
        *_unknown_partners(amendment, partners),
    ]


def excluded_by_wish(case: NewCase, denominational: Sequence[str]) -> tuple[str, ...]:
    """The partners that a wish of the person rules out."""
    return tuple(denominational) if NOT_DENOMINATIONAL in case.wishes else ()


def both_ways(name: str, said: Iterable[str], others: Collection[str]) -> Iterator[Fault]:
    """The partners in the field `name` that are among the `others` as well, one of both being excluded."""
    for index, partner in enumerate(said):
        if partner in others:
            yield Fault(pointer(name, index), "a partner that is not preferred and excluded at once")


def unknown_persons(concerns: Iterable[SaidConcern], refs: Iterable[str]) -> list[Fault]:
    """The concerns that are for nobody of the household."""
    known = set(refs)
    return [
        Fault(pointer("concerns", index, "for_person"), "the ref of a person of the case")
        for index, concern in enumerate(concerns)
        if concern.for_person not in known
    ]


def _of_reception(case: NewCase, now: datetime, *, imported: bool) -> Iterator[Fault]:
    if case.received_at is None:
        return
    if not imported and case.channel != "import":
        yield Fault(pointer("received_at"), "absent: only an import may say when a case was received")
    elif case.received_at > now:
        yield Fault(pointer("received_at"), "a time in the past")


def _of_persons(persons: tuple[SaidPerson, ...], today: date) -> Iterator[Fault]:
    if sum(person.relation == "self" for person in persons) != 1:
        yield Fault(pointer("persons"), 'exactly one person with the relation "self"')
    seen: set[str] = set()
    for index, person in enumerate(persons):
        if person.ref in seen:
            yield Fault(pointer("persons", index, "ref"), "a ref that no other person has")
        seen.add(person.ref)
        born, year = person.birth_date, person.birth_year
        if born is not None and born > today:
            yield Fault(pointer("persons", index, "birth_date"), "a day in the past")
        if year is not None and (year > today.year or (born is not None and year != born.year)):
            yield Fault(pointer("persons", index, "birth_year"), "a year in the past that agrees with birth_date")


def _of_concerns(concerns: tuple[SaidConcern, ...], refs: set[str]) -> list[Fault]:
    places = [str(index) for index in range(len(concerns))]  # in the place of ids, which a new concern has not yet
    return [
        *unknown_persons(concerns, refs),
        *_repetitions(concerns),
        *faults_in_waiting(concerns, places, {}),
    ]


def _repetitions(concerns: Iterable[SaidConcern]) -> Iterator[Fault]:
    seen: set[tuple[str, ...]] = set()
    for index, concern in enumerate(concerns):
        key = (concern.code, concern.sub_topic or "", concern.for_person)
        if key in seen:
            yield Fault(pointer("concerns", index), "a concern that this person does not have already")
        seen.add(key)


def _unknown_partners(said: NewCase | Amendment, partners: Collection[str]) -> Iterator[Fault]:
    for name in ("preferred_partners", "excluded_partners"):
        for index, partner in enumerate(getattr(said, name) or ()):
            if partner not in partners:
                yield Fault(pointer(name, index), f"one of {', '.join(partners)}")


def _of_basis(basis: SaidLegalBasis, today: date, partners: Collection[str]) -> Iterator[Fault]:
    for index, partner in enumerate(basis.covers_partners or ()):
        if partner not in partners:
            yield Fault(pointer("legal_basis", "covers_partners", index), f"one of {', '.join(partners)}")
    for name, day in (("given_on", basis.given_on), ("withdrawn_on", basis.withdrawn_on)):
        if day is not None and day > today:
            yield Fault(pointer("legal_basis", name), "a day that is not in the future")
