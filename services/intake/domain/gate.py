"""The asylum gate: the office gives no asylum counselling, and nothing of such a question may stay here.

It stands before everything that stores, hashes, keys or logs. The pointer is made from the request at hand and from
nothing else, so that a repetition does not reveal what an earlier request asked.
"""

from collections.abc import Mapping
from typing import Any, Final

from services.intake.domain.requests import ASYLUM, Amendment, NewCase, SaidConcern, SaidLegalBasis

REDIRECTED: Final[Mapping[str, Any]] = {
    "concern": ASYLUM,
    "to": "own_social_worker",
    "text": (
        "Zu Fragen des Asylverfahrens berät das Integrationsbüro nicht. Bitte wenden Sie sich an die für Sie "
        "zuständige Sozialarbeiterin oder den für Sie zuständigen Sozialarbeiter. Von Ihrer Frage wurde nichts "
        "gespeichert, auch kein beigefügter freier Text."
    ),
}
"""Where a person with an asylum question is pointed to: the own social worker."""


def asks_about_asylum(concerns: tuple[SaidConcern, ...] | None) -> bool:
    """Whether one of the concerns is not for the office."""
    return any(concern.code == ASYLUM for concern in concerns or ())


def without_asylum(case: NewCase) -> NewCase | None:
    """The case without its asylum concerns, None where nothing is left.

    The free text goes with them: it is about all concerns of the case, and nobody can tell which sentence is which.
    What was to wait for an asylum concern waits for it no more: that it did would tell of the question.
    """
    if not asks_about_asylum(case.concerns):
        return case.model_copy(update={"legal_basis": _clean(case.legal_basis)})
    remaining = _remaining(case.concerns)
    if not remaining:
        return None
    update = {"concerns": remaining, "legal_basis": _clean(case.legal_basis), "free_text": None}
    return case.model_copy(update=update)


def amendment_without_asylum(amendment: Amendment) -> Amendment:
    """The amendment without asylum concerns; it may then change nothing."""
    basis = amendment.legal_basis
    update = {
        "concerns": _remaining(amendment.concerns or ()) or None,
        "legal_basis": _clean(basis) if basis is not None else None,
    }
    return amendment.model_copy(update=update)


def _remaining(concerns: tuple[SaidConcern, ...]) -> tuple[SaidConcern, ...]:
    kept = tuple(concern for concern in concerns if concern.code != ASYLUM)
    gone = {concern.ref for concern in concerns} - {concern.ref for concern in kept}
    return tuple(
        concern
        if gone.isdisjoint(concern.after or ())
        else concern.model_copy(update={"after": tuple(n for n in concern.after or () if n not in gone) or None})
        for concern in kept
    )


def _clean(basis: SaidLegalBasis) -> SaidLegalBasis:
    """A legal basis that names asylum among the concerns it covers would tell of the question as well."""
    if basis.covers_concerns is None or ASYLUM not in basis.covers_concerns:
        return basis
    covered = tuple(code for code in basis.covers_concerns if code != ASYLUM)
    return basis.model_copy(update={"covers_concerns": covered})
