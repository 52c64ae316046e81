"""What routing knows of a case: its coded facts and its referrals."""

from datetime import date, datetime
from typing import Any, Final, Self

from pydantic import field_serializer

from shared.contracts.base import AppointmentId, CaseId, ConcernId, Instant, PartnerId, ReferralId
from shared.contracts.codes import DeclineReason, ReferralState, UnplacedReason, WithdrawalReason
from shared.contracts.intake import CaseFacts, ConcernFacts
from shared.contracts.routing import CaseProgressed, Standing
from shared.days import local_day
from shared.pipeline.decisions import Aggregate, Kept

ENDED: Final = frozenset({ReferralState.DECLINED, ReferralState.WITHDRAWN})


class Booking(Kept):
    """The appointment a referral was booked for."""

    appointment_id: AppointmentId
    starts_at: Instant


class Referral(Kept):
    """The concerns one partner is asked to take; without a partner they are the office's, in clearing.

    `since` is the time the state was reached; `follows` is the declined referral that left these concerns over.
    """

    id: ReferralId
    partner_id: PartnerId | None = None
    state: ReferralState
    concerns: tuple[ConcernId, ...]
    since: Instant
    follows: ReferralId | None = None
    unplaced: UnplacedReason | None = None
    declined: DeclineReason | None = None
    booking: Booking | None = None

    @property
    def is_open(self) -> bool:
        """Whether a partner or the office has it in hand."""
        return self.state not in ENDED

    def moved(self, state: ReferralState, now: datetime, **fields: Any) -> Self:
        """This referral in another state since `now`."""
        return self.model_copy(update={"state": state, "since": now, **fields})

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
        )


class RoutedCase(Aggregate):
    """One case with all its referrals, the ended ones included: who declined a concern is not asked again."""

    id: CaseId
    facts: CaseFacts
    referrals: tuple[Referral, ...] = ()
    withdrawn: WithdrawalReason | None = None

    @field_serializer("facts")
    def _facts_as_they_travel(self, facts: CaseFacts) -> dict[str, Any]:
        """As JSON: the store has no type for a day without a time."""
        return facts.model_dump(mode="json")

    @property
    def day(self) -> date:
        """The day the agreement and the legal basis are judged by."""
        return local_day(self.facts.received_at)

    @property
    def progress(self) -> CaseProgressed:
        """Where all referrals stand."""
        return CaseProgressed(case_id=self.id, standings=tuple(referral.standing for referral in self.referrals))

    @property
    def open_referrals(self) -> tuple[Referral, ...]:
        """The referrals that have not ended."""
        return tuple(referral for referral in self.referrals if referral.is_open)

    @property
    def waiting(self) -> tuple[ConcernFacts, ...]:
        """The concerns that nobody has in hand, neither a partner nor the office."""
        in_hand = {concern for referral in self.open_referrals for concern in referral.concerns}
        return tuple(concern for concern in self.facts.concerns if concern.concern_id not in in_hand)

    def concerns_of(self, referral: Referral) -> tuple[ConcernFacts, ...]:
        """What is known of the concerns of this referral."""
        return tuple(concern for concern in self.facts.concerns if concern.concern_id in referral.concerns)

    def decliners(self, concern_id: ConcernId) -> frozenset[PartnerId | None]:
        """The partners that did not take this concern."""
        declined = (r for r in self.referrals if r.state is ReferralState.DECLINED)
        return frozenset(r.partner_id for r in declined if concern_id in r.concerns)

    def referral(self, referral_id: ReferralId) -> Referral | None:
        """The referral of that id."""
        return next((referral for referral in self.referrals if referral.id == referral_id), None)

    def with_referrals(self, *changed: Referral) -> Self:
        """This case with these referrals in the place of those with the same id, new ones behind."""
        referrals = {referral.id: referral for referral in (*self.referrals, *changed)}
        return self.model_copy(update={"referrals": tuple(referrals.values())})
