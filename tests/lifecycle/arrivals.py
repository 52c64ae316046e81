"""What may reach a case, and the decision that the service makes about it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from lifecycle.agreements import NOW
from services.routing.domain.case import RoutedCase
from services.routing.domain.situation import Situation
from services.routing.handlers import reactions
from shared.contracts import Event
from shared.contracts.base import derived_id
from shared.contracts.codes import (
    AppointmentMode,
    CancellationReason,
    ClarificationTopic,
    DeclineReason,
    FailureReason,
    HandOnReason,
    PauseReason,
    ServiceOutcome,
)
from shared.contracts.partners import (
    Reply,
    ReplyAccepted,
    ReplyClarificationAnswered,
    ReplyClarificationRequested,
    ReplyCompleted,
    ReplyDeclined,
    ReplyFailed,
    ReplyHandedOn,
    ReplyPaused,
    ReplyReopened,
    ReplyResumed,
    ReplyStarted,
)
from shared.contracts.scheduling import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentEvent,
    AppointmentMissed,
    AppointmentRescheduled,
)
from shared.envelope import Cause
from shared.pipeline.decisions import Decision, Received

E = TypeVar("E", bound=Event)

PERSON: Final = derived_id("person")

REPLIES: Final[Mapping[str, tuple[type[Reply], Mapping[str, Any]]]] = {
    "referral.accepted": (ReplyAccepted, {}),
    "referral.declined": (ReplyDeclined, {"reason": DeclineReason.OTHER}),
    "clarification.requested": (ReplyClarificationRequested, {"topic": ClarificationTopic.DOCUMENTS}),
    "clarification.answered": (ReplyClarificationAnswered, {}),
    "service.started": (ReplyStarted, {}),
    "service.paused": (ReplyPaused, {"reason": PauseReason.ILLNESS, "review_on": NOW.date() + timedelta(days=14)}),
    "service.resumed": (ReplyResumed, {}),
    "referral.handed_on": (ReplyHandedOn, {"reason": HandOnReason.MOVED}),
    "referral.completed": (ReplyCompleted, {"outcome": ServiceOutcome.HELPED}),
    "referral.failed": (ReplyFailed, {"reason": FailureReason.UNREACHABLE}),
    "referral.reopened": (ReplyReopened, {}),
}
"""By the transition that it asks for: the reply, and what it says unless told otherwise."""

APPOINTMENTS: Final[Mapping[str, type[AppointmentEvent]]] = {
    "booked": AppointmentBooked,
    "rescheduled": AppointmentRescheduled,
    "cancelled": AppointmentCancelled,
    "missed": AppointmentMissed,
}


def a_reply(event: str, referral_id: str, **said: Any) -> Reply:
    """A partner replies about this referral."""
    kind, fields = REPLIES[event]
    return kind(referral_id=referral_id, **{**fields, **said})


def an_appointment(event: str, **said: Any) -> AppointmentEvent:
    """Scheduling tells something about an appointment; of what is said it takes what it has a field for."""
    kind = APPOINTMENTS[event]
    slot = {"starts_at": NOW, "minutes": 30, "place": "house", "mode": AppointmentMode.ON_SITE, "languages": ()}
    fields = {"person_id": PERSON, "reason": CancellationReason.WITHDRAWN, **slot, **said}
    return kind(**{name: value for name, value in fields.items() if name in kind.model_fields})


def received(event: E, *, by: str | None = None, cause: str = "", time: datetime | None = None) -> Received[E]:
    """The event as it arrives, on the topic of the partner `by` if one is named, which may claim a `time`."""
    id_ = derived_id("cause", cause, event.model_dump_json(), by or "")
    return Received(
        event=event,
        cause=Cause(id=id_, correlation_id=id_, traceparent=""),
        sequence=0,
        topic=f"partner.{by}.replies.v1" if by else "intake.cases.v1",
        partition=3,
        offset=42,
        partner_id=by,
        time=time,
    )


def decided(
    situation: Situation, arrived: Received[Any], known: RoutedCase | None, now: datetime
) -> Decision[RoutedCase]:
    """What the service decides about it."""
    [reaction] = [one for one in reactions(lambda: situation) if one.event is type(arrived.event)]
    return reaction.decide(arrived, known, now)
