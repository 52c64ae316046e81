"""What intake learns from the bus: what became of its cases."""

from datetime import datetime
from typing import Any, Final

from services.intake.domain.cases import IntakeCase
from services.intake.domain.decisions import note_progress
from shared.contracts.routing import CaseProgressed
from shared.pipeline.decisions import Decision, Reaction, Received
from shared.pipeline.reading import Subscription

SUBSCRIPTIONS: Final = (Subscription(r"^routing\.referrals\.v1$", "intake"),)


def on_case_progressed(
    received: Received[CaseProgressed], known: IntakeCase | None, _: datetime
) -> Decision[IntakeCase]:
    """Keep where the referrals of a case stand."""
    return note_progress(received.event, received.sequence, known)


REACTIONS: Final[tuple[Reaction[Any, IntakeCase], ...]] = (
    Reaction(CaseProgressed, on_case_progressed, key=lambda progress: progress.case_id),
)
