"""What a sender may see of a case: codes and ids, never a name."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from services.intake.domain.cases import IntakeCase
from services.intake.domain.persons import Record
from shared.contracts.codes import ReferralState
from shared.contracts.intake import ConcernFacts
from shared.contracts.routing import Standing
from shared.envelope import rfc3339

_GIVES_WAY: Final = frozenset(
    {
        ReferralState.DECLINED,
        ReferralState.EXPIRED,
        ReferralState.HANDED_ON,
        ReferralState.RELEASED,
        ReferralState.WITHDRAWN,
        ReferralState.CANCELLED,
    }
)
"""Ends after which another referral may take over the concerns."""


def shown(case: IntakeCase) -> dict[str, Any]:
    """A case with what became of each of its concerns."""
    return {
        "case_id": case.id,
        "state": "withdrawn" if case.withdrawn else case.progress,
        "withdrawn": {"reason": case.withdrawn, "at": _text(case.withdrawn_at)} if case.withdrawn else None,
        "received_at": _text(case.received_at),
        "channel": case.channel,
        "source_reference": case.source_reference,
        "referrer": case.referrer.model_dump() if case.referrer else None,
        "municipality": case.municipality,
        "languages": list(case.languages),
        "urgency": case.urgency,
        "respond_by": case.respond_by.isoformat() if case.respond_by else None,
        "legal_basis": case.legal_basis.kind,
        "concerns": [_with_outcome(concern, case.standings) for concern in case.concerns],
    }


def _with_outcome(concern: ConcernFacts, standings: tuple[Standing, ...]) -> Mapping[str, Any]:
    standing = _newest(concern.concern_id, standings)
    return {
        "concern_id": concern.concern_id,
        "code": concern.code,
        "sub_topic": concern.sub_topic,
        "person_id": concern.person_id,
        "after": list(concern.after),
        "state": standing.state if standing else "received",
        "partner_id": standing.partner_id if standing else None,
        "referral_id": standing.referral_id if standing else None,
        "since": _text(standing.since) if standing else None,
        "appointment_at": _text(standing.appointment_at) if standing else None,
        "overdue": standing.overdue if standing else False,
        "outcome": standing.outcome if standing else None,
        "sheet": standing.sheet if standing else None,
    }


def shown_note(note: Record) -> dict[str, Any]:
    """A note as it was written."""
    return {
        "note_id": note["_id"],
        "staff_id": note["staff_id"],
        "referral_id": note["referral_id"],
        "text": note["text"],
        "written_at": rfc3339(note["written_at"]),
    }


def _newest(concern_id: str, standings: tuple[Standing, ...]) -> Standing | None:
    """The standing that counts: the newest, but what gave way only where nothing took its place."""
    about = [standing for standing in reversed(standings) if concern_id in standing.concerns]
    if not about:
        return None
    return max(about, key=lambda standing: (standing.state not in _GIVES_WAY, standing.since))


def _text(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
