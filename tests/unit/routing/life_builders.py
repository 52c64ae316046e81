"""A case on its way through its life, one short sentence a step; time is given where it matters."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from lifecycle.agreements import NOW, TERMS
from lifecycle.arrivals import a_reply, an_appointment, decided, received
from routing_builders import a_case, a_concern, state_after

from services.routing.domain.agreement import Agreements
from services.routing.domain.case import Referral, RoutedCase
from services.routing.domain.situation import Room, Situation
from services.routing.domain.ticking import tick
from shared.contracts import Event
from shared.contracts.base import derived_id
from shared.contracts.codes import Concern, WithdrawalReason
from shared.contracts.intake import CaseAmended, CaseWithdrawn, ConcernFacts
from shared.pipeline.decisions import Decision

APPOINTMENT: Final = derived_id("appointment")
ANOTHER: Final = derived_id("another appointment")


class Living:
    """One case, and the decisions about it as they were made. A decision that changes nothing leaves it as it is."""

    def __init__(
        self,
        *codes: Concern,
        terms: Agreements = TERMS,
        rooms: Mapping[Any, Room] | None = None,
        now: datetime = NOW,
        **facts: Any,
    ) -> None:
        self.situation = Situation(terms, rooms or {})
        self.now = now
        self.steps = 0
        opened = a_case(*codes, **{"received_at": NOW, "languages": ("uk",), **facts})
        self.decision = decided(self.situation, received(opened), None, now)
        self.case: RoutedCase = state_after(self.decision)

    def arrives(self, event: Event, *, by: str | None = None, time: datetime | None = None) -> Decision[RoutedCase]:
        """The service decides about an event, of the partner `by` if one is named."""
        arrived = received(event, by=by, cause=self.cause(), time=time)
        return self.made(decided(self.situation, arrived, self.case, self.now))

    def made(self, decision: Decision[RoutedCase]) -> Decision[RoutedCase]:
        self.decision = decision
        if decision.state is not None:
            self.case = decision.state
        return decision

    def cause(self) -> str:
        self.steps += 1
        return derived_id("step", str(self.steps))

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
        return self.arrives(a_reply(event, about.id, **said), by=by or about.partner_id, time=claimed)

    def replies(self, *events: str) -> None:
        """One after another, about the newest referral."""
        for event in events:
            before = self.case
            self.reply(event)
            assert self.case is not before, f"{event} was refused"

    def tick(self, at: datetime) -> Decision[RoutedCase]:
        """Somebody looks at the clocks."""
        self.now = at
        return self.made(tick(self.situation, self.cause(), self.case, at))

    def appointment(self, event: str, referral: Referral | None = None, **said: Any) -> Decision[RoutedCase]:
        """Scheduling tells something about the appointment, the first unless there is one; a rescheduling replaces it
        by another."""
        about = referral or self.last
        booked = about.booking.appointment_id if about.booking else APPOINTMENT
        told = an_appointment(
            event,
            case_id=self.case.id,
            referral_id=about.id,
            partner_id=about.partner_id or "nobody",
            appointment_id=ANOTHER if event == "rescheduled" else booked,
            replaces=booked,
            **said,
        )
        return self.arrives(told)

    def amend(self, *concerns: ConcernFacts, **facts: Any) -> Decision[RoutedCase]:
        """The sender says anew what the case is; without concerns these stay."""
        changed = {"concerns": concerns or self.case.facts.concerns, **facts}
        return self.arrives(CaseAmended(**dict(self.case.facts) | changed))

    def withdraw(self, reason: WithdrawalReason = WithdrawalReason.BY_PERSON) -> Decision[RoutedCase]:
        """The case is taken back."""
        return self.arrives(CaseWithdrawn(case_id=self.case.id, reason=reason))


def after(concern: ConcernFacts, *others: ConcernFacts) -> ConcernFacts:
    """The concern, that waits for the others."""
    return concern.model_copy(update={"after": tuple(other.concern_id for other in others)})


def end_of(day: str) -> datetime:
    """The first moment after that day in the district, by winter time."""
    return datetime.fromisoformat(f"{date.fromisoformat(day) + timedelta(days=1)}T00:00:00+01:00")
