"""A case on its way through its life, one short sentence a step; time is given where it matters."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from lifecycle.agreements import NOW, TERMS
from routing_builders import a_case, a_concern, received, state_after

from services.routing.domain import replies
from services.routing.domain.agreement import Agreements
from services.routing.domain.case import Referral, RoutedCase
from services.routing.domain.decisions import amend, reschedule, route, schedule, unschedule, withdraw
from services.routing.domain.situation import Situation
from services.routing.domain.ticking import tick
from shared.contracts import Event
from shared.contracts.base import derived_id
from shared.contracts.codes import (
    AppointmentMode,
    CancellationReason,
    ClarificationTopic,
    Concern,
    DeclineReason,
    FailureReason,
    HandOnReason,
    PauseReason,
    ServiceOutcome,
    WithdrawalReason,
)
from shared.contracts.intake import CaseAmended, CaseWithdrawn, ConcernFacts
from shared.contracts.partners import (
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
    AppointmentMissed,
    AppointmentRescheduled,
)
from shared.pipeline.decisions import Decision

REPLIES: Final = {
    "referral.accepted": (replies.accept, ReplyAccepted, {}),
    "referral.declined": (replies.decline, ReplyDeclined, {"reason": DeclineReason.OTHER}),
    "clarification.requested": (replies.ask_back, ReplyClarificationRequested, {"topic": ClarificationTopic.DOCUMENTS}),
    "clarification.answered": (replies.answer, ReplyClarificationAnswered, {}),
    "service.started": (replies.start, ReplyStarted, {}),
    "service.paused": (
        replies.pause,
        ReplyPaused,
        {"reason": PauseReason.ILLNESS, "review_on": NOW.date() + timedelta(days=14)},
    ),
    "service.resumed": (replies.resume, ReplyResumed, {}),
    "referral.handed_on": (replies.hand_on, ReplyHandedOn, {"reason": HandOnReason.MOVED}),
    "referral.completed": (replies.complete, ReplyCompleted, {"outcome": ServiceOutcome.HELPED}),
    "referral.failed": (replies.fail, ReplyFailed, {"reason": FailureReason.UNREACHABLE}),
    "referral.reopened": (replies.reopen, ReplyReopened, {}),
}
APPOINTMENT: Final = derived_id("appointment")
ANOTHER: Final = derived_id("another appointment")


class Living:
    """One case, and the decisions about it as they were made. A decision that changes nothing leaves it as it is."""

    def __init__(self, *codes: Concern, terms: Agreements = TERMS, now: datetime = NOW, **facts: Any) -> None:
        self.situation = Situation(terms)
        self.now = now
        self.decision = route(
            self.situation, received(a_case(*codes, **{"received_at": NOW, "languages": ("uk",), **facts})), None, now
        )
        self.case: RoutedCase = state_after(self.decision)
        self.steps = 0

    def made(self, decision: Decision[RoutedCase]) -> Decision[RoutedCase]:
        self.decision = decision
        if decision.state is not None:
            self.case = decision.state
        return decision

    def cause(self) -> str:
        self.steps += 1
        return str(self.steps)

    @property
    def last(self) -> Referral:
        """The newest referral."""
        return self.case.referrals[-1]

    def with_(self, code: Concern) -> Referral:
        """Where that concern is, or was last."""
        found = self.case.latest(a_concern(code).concern_id)
        assert found is not None
        return found

    def reply(
        self,
        event: str,
        *,
        referral: Referral | None = None,
        by: str | None = None,
        at: datetime | None = None,
        claimed: datetime | None = None,
        **said: Any,
    ) -> Decision[RoutedCase]:
        """The referral's partner replies, about the newest one unless another is named."""
        self.now = at or self.now
        about = referral or self.last
        decide, kind, fields = REPLIES[event]
        reply = received(kind(referral_id=about.id, **fields | said), by=by or about.partner_id, cause=self.cause())
        return self.made(decide(self.situation, replace(reply, time=claimed), self.case, self.now))

    def replies(self, *events: str) -> None:
        """One after another, about the newest referral."""
        for event in events:
            before = self.case
            self.reply(event)
            assert self.case is not before, f"{event} was refused"

    def tick(self, at: datetime) -> Decision[RoutedCase]:
        """Somebody looks at the clocks."""
        self.now = at
        return self.made(tick(self.situation, derived_id("tick", self.cause()), self.case, at))

    def appointment(self, event: str, referral: Referral | None = None, **said: Any) -> Decision[RoutedCase]:
        """Scheduling tells something about the first appointment; a rescheduling replaces it by another."""
        about = referral or self.last
        names = {"case_id": self.case.id, "referral_id": about.id, "partner_id": about.partner_id or "nobody"}
        names |= {"person_id": self.case.facts.person_id, "appointment_id": APPOINTMENT}
        slot = {"starts_at": NOW, "minutes": 30, "place": "house", "mode": AppointmentMode.ON_SITE, "languages": ()}
        told: Event
        if event == "booked":
            told = AppointmentBooked(**names | slot | said)
            return self.made(schedule(self.situation, received(told, cause=self.cause()), self.case, self.now))
        if event == "rescheduled":
            told = AppointmentRescheduled(**names | slot | {"appointment_id": ANOTHER, "replaces": APPOINTMENT} | said)
            return self.made(reschedule(self.situation, received(told, cause=self.cause()), self.case, self.now))
        if event == "missed":
            told = AppointmentMissed(**names | said)
        else:
            told = AppointmentCancelled(**names | {"reason": CancellationReason.WITHDRAWN} | said)
        return self.made(unschedule(self.situation, received(told, cause=self.cause()), self.case, self.now))

    def amend(self, *concerns: ConcernFacts, **facts: Any) -> Decision[RoutedCase]:
        """The sender says anew what the case is; without concerns these stay."""
        changed = {"concerns": concerns or self.case.facts.concerns, **facts}
        event = CaseAmended(**dict(self.case.facts) | changed)
        return self.made(amend(self.situation, received(event, cause=self.cause()), self.case, self.now))

    def withdraw(self, reason: WithdrawalReason = WithdrawalReason.BY_PERSON) -> Decision[RoutedCase]:
        """The case is taken back."""
        event = CaseWithdrawn(case_id=self.case.id, reason=reason)
        return self.made(withdraw(self.situation, received(event, cause=self.cause()), self.case, self.now))


def after(concern: ConcernFacts, *others: ConcernFacts) -> ConcernFacts:
    """The concern, that waits for the others."""
    return concern.model_copy(update={"after": tuple(other.concern_id for other in others)})


def end_of(day: str) -> datetime:
    """The first moment after that day in the district, by winter time."""
    return datetime.fromisoformat(f"{date.fromisoformat(day) + timedelta(days=1)}T00:00:00+01:00")
