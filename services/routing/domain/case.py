"""What routing knows of a case: its coded facts and its referrals."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import Field, PlainSerializer, field_serializer

from services.routing.domain.explanation import Explanation
from services.routing.domain.lifecycle import OPEN, SETTLED, WITH_PARTNER, Transition, after
from shared.contracts.base import (
    AgreementVersion,
    AppointmentId,
    CaseId,
    ConcernId,
    Instant,
    PartnerId,
    ReferralId,
    RuleId,
    SheetId,
)
from shared.contracts.codes import Actor, CaseState, ReferralState, ServiceOutcome, UnplacedReason, WithdrawalReason
from shared.contracts.intake import CaseFacts, ConcernFacts
from shared.contracts.routing import MOST_STANDINGS, CaseProgressed, Standing
from shared.days import end_of, local_day
from shared.pipeline.decisions import Aggregate, Kept

IsoDay = Annotated[date, PlainSerializer(date.isoformat)]
"""MongoDB has no days, only moments."""

NOT_AGAIN: Final = frozenset({ReferralState.DECLINED, ReferralState.EXPIRED, ReferralState.HANDED_ON})
"""Whoever had a concern in a referral that ended so is not asked to take it again."""
KEPT: Final = timedelta(days=3 * 365)
"""How long a case's codes are kept after its end: a term of the agreement, and the review that follows it."""

_DAY_OF: Final = {
    Transition.ASSIGNED: "offered_on",
    Transition.ACCEPTED: "answered_on",
    Transition.DECLINED: "answered_on",
}
"""What is remembered of the day of a transition."""


class Booking(Kept):
    """The appointment a referral was booked for."""

    appointment_id: AppointmentId
    starts_at: Instant


class ClockKind(StrEnum):
    """What a referral waits for with a term."""

    RESPONSE = "response"
    GRACE = "grace"
    CLARIFICATION = "clarification"
    REVIEW = "review"


class Clock(Kept):
    """A term that runs until the end of `last`, which is the moment `at`."""

    kind: ClockKind
    last: IsoDay
    at: Instant

    @classmethod
    def until(cls, kind: ClockKind, last: date) -> Self:
        """A clock that comes due when that day is over in the district."""
        return cls(kind=kind, last=last, at=end_of(last))


class Waiting(Kept):
    """A partner's question is open. `back` is the state it was asked in; `clock` stood still with so many `days`."""

    back: ReferralState
    clock: ClockKind | None = None
    days: int = 0


class Referral(Kept):
    """The concerns one partner is asked to take; without a partner they are the office's.

    `since` is the time the state was reached, `by` and `reason` say who led it there and why; `follows` is the ended
    referral that left these concerns over. `agreement` is the version it was placed under, `rules` what matched.
    `appointment_on` is the day of the first appointment it got, `claimed_by` who of the office has the task, or had it
    when it ended as one.
    """

    id: ReferralId
    partner_id: PartnerId | None = None
    state: ReferralState
    concerns: tuple[ConcernId, ...]
    since: Instant
    by: Actor = Actor.AGREEMENT
    reason: str | None = None
    follows: ReferralId | None = None
    agreement: AgreementVersion | None = None
    rules: tuple[RuleId, ...] = ()
    unplaced: UnplacedReason | None = None
    sheet: SheetId | None = None
    booking: Booking | None = None
    clock: Clock | None = None
    waiting: Waiting | None = None
    outcome: ServiceOutcome | None = None
    reopen_until: IsoDay | None = None
    questions: int = 0
    claimed_by: str | None = None
    offered_on: IsoDay | None = None
    answered_on: IsoDay | None = None
    appointment_on: IsoDay | None = None
    claimed_at: Instant | None = None

    @property
    def is_open(self) -> bool:
        """Whether a partner or the office has it in hand."""
        return self.state in OPEN

    @property
    def is_taken(self) -> bool:
        """Whether a partner has accepted it and still has it."""
        state = self.waiting.back if self.waiting else self.state
        return state in WITH_PARTNER and state is not ReferralState.OFFERED

    @property
    def is_overdue(self) -> bool:
        """Whether its partner let the time to respond pass; a question of its own changes nothing about that."""
        running = self.clock.kind if self.clock else None
        return ClockKind.GRACE in (running, self.waiting.clock if self.waiting else None)

    def moved(
        self,
        transition: Transition,
        now: datetime,
        by: Actor,
        reason: StrEnum | None = None,
        *,
        back: ReferralState | None = None,
        **fields: Any,
    ) -> Self:
        """This referral after the transition; its clock stops unless `fields` hold another. `back` is where one leads
        that has no state of its own.

        Raises `IllegalTransitionError` where the table does not allow it.
        """
        state = after(self.state, transition)
        state = back or state
        ended = {} if state in WITH_PARTNER else {"booking": None, "waiting": None}
        since: dict[str, Any] = {} if state is self.state else {"since": now}
        if day := _DAY_OF.get(transition):
            since[day] = local_day(now)
        moved = {"state": state, "by": by, "reason": reason and reason.value, "clock": None}
        return self.model_copy(update=moved | since | ended | fields)

    @property
    def standing(self) -> Standing:
        """This referral as the others see it."""
        return Standing(
            referral_id=self.id,
            partner_id=self.partner_id,
            state=self.state,
            concerns=self.concerns,
            since=self.since,
            appointment_at=self.booking.starts_at if self.booking else None,
            overdue=self.is_overdue,
            outcome=self.outcome,
            sheet=self.sheet,
        )


class RoutedCase(Aggregate):
    """One case with all its referrals, the ended ones included: who declined a concern is not asked again.

    `explained` and `taken` are what the repository writes beside the case and never a part of it: why the new referrals
    are where they are, and of which reports of capacity each takes a place.
    """

    id: CaseId
    facts: CaseFacts
    referrals: tuple[Referral, ...] = ()
    withdrawn: WithdrawalReason | None = None

    explained: tuple[Explanation, ...] = Field(default=(), exclude=True, repr=False)
    taken: tuple[tuple[str, ReferralId], ...] = Field(default=(), exclude=True, repr=False)

    @field_serializer("facts")
    def _facts_as_they_travel(self, facts: CaseFacts) -> dict[str, Any]:
        """As JSON: the store has no type for a day without a time. In UTC, so that moments sort as text."""
        received_at = facts.received_at.astimezone(UTC)
        return facts.model_copy(update={"received_at": received_at}).model_dump(mode="json")

    @property
    def day(self) -> date:
        """The day the agreement and the legal basis are judged by."""
        return local_day(self.facts.received_at)

    @property
    def state(self) -> CaseState:
        """How far its concerns are, taken together."""
        if self.withdrawn:
            return CaseState.WITHDRAWN
        settled = [self.is_settled(concern.concern_id) for concern in self.facts.concerns]
        if all(settled):
            return CaseState.SETTLED
        return CaseState.PARTLY_SETTLED if any(settled) else CaseState.OPEN

    @property
    def progress(self) -> CaseProgressed:
        """Where all referrals stand."""
        standings = tuple(referral.standing for referral in self._told)
        return CaseProgressed(case_id=self.id, state=self.state, standings=standings)

    @property
    def _told(self) -> Sequence[Referral]:
        """The referrals, less the oldest that others have followed where they are more than an event may hold."""
        surplus = len(self.referrals) - MOST_STANDINGS
        if surplus <= 0:
            return self.referrals
        last = {referral.id for c in self.facts.concerns if (referral := self.latest(c.concern_id))}
        dropped = [referral.id for referral in self.referrals if referral.id not in last][:surplus]
        return [referral for referral in self.referrals if referral.id not in dropped]

    @property
    def open_referrals(self) -> tuple[Referral, ...]:
        """The referrals that have not ended."""
        return tuple(referral for referral in self.referrals if referral.is_open)

    @property
    def next_due(self) -> datetime | None:
        """When the first clock comes due."""
        return min((referral.clock.at for referral in self.referrals if referral.clock), default=None)

    @property
    def clearing_since(self) -> datetime | None:
        """Since when the office has had a task of it."""
        return min((r.since for r in self.referrals if r.state is ReferralState.CLEARING), default=None)

    @property
    def in_nobodys_hands(self) -> tuple[ConcernFacts, ...]:
        """The concerns that neither a partner nor the office has, and that are not settled."""
        return tuple(
            concern
            for concern in self.facts.concerns
            if (last := self.latest(concern.concern_id)) is None or not (last.is_open or last.state in SETTLED)
        )

    def latest(self, concern_id: ConcernId) -> Referral | None:
        """The referral that a concern is or was in last."""
        return next((referral for referral in reversed(self.referrals) if concern_id in referral.concerns), None)

    def is_settled(self, concern_id: ConcernId) -> bool:
        """Whether a concern has come to an end; one that the case does not have holds nobody up."""
        last = self.latest(concern_id)
        return last is not None and last.state in SETTLED

    def awaited(self, concern: ConcernFacts) -> tuple[ConcernId, ...]:
        """The concerns this one has to wait for. In a loop, which intake refuses, nobody waits."""
        if not concern.after:
            return ()
        known = {other.concern_id for other in self.facts.concerns} - _waiting_for(
            concern.concern_id, self.facts.concerns
        )
        return tuple(id_ for id_ in concern.after if id_ in known and not self.is_settled(id_))

    def concerns_of(self, referral: Referral) -> tuple[ConcernFacts, ...]:
        """What is known of the concerns of this referral."""
        return tuple(concern for concern in self.facts.concerns if concern.concern_id in referral.concerns)

    def asked(self, concern_id: ConcernId) -> frozenset[PartnerId | None]:
        """The partners that had this concern and did not keep it."""
        return frozenset(r.partner_id for r in self.referrals if r.state in NOT_AGAIN and concern_id in r.concerns)

    def referral(self, referral_id: ReferralId) -> Referral | None:
        """The referral of that id."""
        return next((referral for referral in self.referrals if referral.id == referral_id), None)

    def with_referrals(self, changed: Iterable[Referral]) -> Self:
        """This case with these referrals in the place of those with the same id, new ones behind."""
        referrals = {referral.id: referral for referral in (*self.referrals, *changed)}
        return self.model_copy(update={"referrals": tuple(referrals.values())})


def _waiting_for(target: ConcernId, concerns: Iterable[ConcernFacts]) -> set[ConcernId]:
    """The concerns that wait for this one, themselves or by way of others."""
    before: dict[ConcernId, list[ConcernId]] = defaultdict(list)
    for concern in concerns:
        for id_ in concern.after:
            before[id_].append(concern.concern_id)
    found: set[ConcernId] = set()
    ahead = [target]
    while ahead:
        new = [id_ for id_ in before[ahead.pop()] if id_ not in found]
        found.update(new)
        ahead += new
    return found
