"""What intake knows of one case, in codes; names and texts are in the vault."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import Field, PlainSerializer

from services.intake.domain.persons import Record
from services.intake.domain.requests import Referrer
from shared.contracts.codes import (
    AgeBand,
    CaseState,
    Concern,
    LegalBasisKind,
    Municipality,
    Need,
    TargetGroup,
    Urgency,
    WithdrawalReason,
)
from shared.contracts.intake import ConcernFacts, LegalBasis
from shared.contracts.routing import Standing
from shared.pipeline.decisions import Aggregate, Kept

IsoDay = Annotated[date, PlainSerializer(date.isoformat)]
"""MongoDB has no days, only moments."""


class Member(Kept):
    """A person of the case; `ref` is what the sender called it."""

    person_id: str
    ref: str
    age_band: AgeBand
    target_groups: tuple[TargetGroup, ...] = ()


class RecordedBasis(Kept):
    """The legal basis as it was recorded, the proof of a consent included. None in `partners` or `codes`: all."""

    kind: LegalBasisKind
    partners: tuple[str, ...] | None
    codes: tuple[Concern, ...] | None
    given_on: IsoDay | None
    expires_on: IsoDay | None
    withdrawn_on: IsoDay | None
    text_version: str | None
    text_language: str | None
    form: str | None
    field_groups: tuple[str, ...]


class IntakeCase(Aggregate):
    """One case. `excluded_partners` follow from a wish, `also_excluded` were named.

    `progress` and `standings` are the newest that routing told; `progressed` is the sequence of that event.
    """

    recorded_at: datetime
    received_at: datetime
    channel: str
    referrer: Referrer | None
    source_reference: str | None
    municipality: Municipality
    languages: tuple[str, ...]
    urgency: Urgency
    respond_by: IsoDay | None
    legal_basis: RecordedBasis
    excluded_partners: tuple[str, ...]
    also_excluded: tuple[str, ...] = ()
    preferred_partners: tuple[str, ...] = ()
    needs: tuple[Need, ...]
    person_id: str
    members: tuple[Member, ...]
    concerns: tuple[ConcernFacts, ...]
    progress: CaseState = CaseState.OPEN
    standings: tuple[Standing, ...] = ()
    progressed: int = 0
    withdrawn: WithdrawalReason | None = None
    withdrawn_at: datetime | None = None

    new_records: tuple[Record, ...] = Field(default=(), exclude=True)
    """Vault records that are to be stored together with this state; never part of it."""
    changed_records: tuple[Record, ...] = Field(default=(), exclude=True)
    """Vault fields that are to be changed together with this state, each with the person's `_id`."""
    new_notes: tuple[Record, ...] = Field(default=(), exclude=True)
    """Notes of the staff that are to be stored together with this state."""

    @property
    def all_excluded(self) -> tuple[str, ...]:
        """Whom this case is not to be offered to."""
        return tuple(dict.fromkeys((*self.excluded_partners, *self.also_excluded)))


def facts_of(case: IntakeCase, today: date) -> dict[str, Any]:
    """The coded state as `CaseOpened` and `CaseAmended` carry it."""
    return {
        "case_id": case.id,
        "person_id": case.person_id,
        "received_at": case.received_at,
        "municipality": case.municipality,
        "languages": case.languages,
        "urgency": case.urgency,
        "legal_basis": _in_force(case.legal_basis, case.concerns, today),
        "excluded_partners": case.all_excluded,
        "preferred_partners": case.preferred_partners,
        "needs": case.needs,
        "concerns": case.concerns,
    }


def _in_force(basis: RecordedBasis, concerns: tuple[ConcernFacts, ...], today: date) -> LegalBasis:
    """A consent that was withdrawn is no ground any more, whenever the case was received."""
    if basis.withdrawn_on is not None and basis.withdrawn_on <= today:
        return LegalBasis(kind=LegalBasisKind.NONE)
    covered = None if basis.codes is None else tuple(c.concern_id for c in concerns if c.code in basis.codes)
    return LegalBasis(kind=basis.kind, partners=basis.partners, concerns=covered, valid_until=basis.expires_on)
