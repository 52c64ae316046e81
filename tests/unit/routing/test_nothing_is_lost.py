"""Whatever happens to a case, each of its concerns is in one pair of hands, and partners learn their own only."""

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from routing_builders import AUGUST_2017, MARCH_2017, NOW, PERSON, SEEN, a_case, received, state_after

from services.routing.domain.case import RoutedCase
from services.routing.domain.decisions import amend, route, withdraw
from services.routing.domain.replies import accept, decline
from shared.contracts.base import derived_id
from shared.contracts.codes import AgeBand, Concern, DeclineReason, LegalBasisKind, ReferralState, WithdrawalReason
from shared.contracts.intake import CaseAmended, CaseWithdrawn, ConcernFacts, LegalBasis
from shared.contracts.partners import ReplyAccepted, ReplyDeclined
from shared.contracts.routing import CaseProgressed, PartnerEvent, ReferralOffered
from shared.pipeline.decisions import Decision

PARTNERS = ("caritas", "diakonie", "awo", "vhs", "schuldnerberatung")

some_partners = st.lists(st.sampled_from(PARTNERS), unique=True).map(tuple)
concerns = st.builds(
    ConcernFacts,
    concern_id=st.integers(0, 9).map(lambda number: derived_id(str(number))),
    code=st.sampled_from(Concern),
    person_id=st.just(PERSON),
    age_band=st.sampled_from(AgeBand),
)
concern_lists = st.lists(concerns, min_size=1, max_size=8, unique_by=lambda concern: concern.concern_id).map(tuple)
legal_bases = st.builds(
    LegalBasis, kind=st.sampled_from(LegalBasisKind), partners=st.none() | some_partners, concerns=st.none()
)
cases = st.fixed_dictionaries(
    {
        "case_id": st.uuids().map(str),
        "received_at": st.sampled_from([MARCH_2017, AUGUST_2017, NOW]),
        "excluded_partners": some_partners,
        "legal_basis": legal_bases,
        "concerns": concern_lists,
    }
)


class CaseInRouting(RuleBasedStateMachine):
    """One case and the events that may reach it, in any order."""

    case: RoutedCase
    steps = 0

    @initialize(facts=cases)
    def open(self, facts: dict[str, Any]) -> None:
        self.take_effect(route(SEEN, received(a_case(**facts)), None, NOW))

    @rule(data=st.data())
    def reply(self, data: st.DataObject) -> None:
        referral = data.draw(st.sampled_from(self.case.referrals))
        partner = data.draw(st.sampled_from(PARTNERS))
        if data.draw(st.booleans()):
            taken = ReplyAccepted(referral_id=referral.id)
            self.take_effect(accept(SEEN, received(taken, by=partner, cause=self.step()), self.case, NOW))
        else:
            refused = ReplyDeclined(referral_id=referral.id, reason=DeclineReason.OTHER)
            self.take_effect(decline(SEEN, received(refused, by=partner, cause=self.step()), self.case, NOW))

    @precondition(lambda self: any(r.state is ReferralState.OFFERED for r in self.case.referrals))
    @rule(data=st.data())
    def decline_by_its_partner(self, data: st.DataObject) -> None:
        offered = [referral for referral in self.case.referrals if referral.state is ReferralState.OFFERED]
        referral = data.draw(st.sampled_from(offered))
        refused = ReplyDeclined(referral_id=referral.id, reason=DeclineReason.OTHER)
        reply = received(refused, by=referral.partner_id, cause=self.step())
        self.take_effect(decline(SEEN, reply, self.case, NOW))

    @rule(changed=concern_lists, basis=legal_bases)
    def amend(self, changed: tuple[ConcernFacts, ...], basis: LegalBasis) -> None:
        event = CaseAmended(**dict(self.case.facts) | {"concerns": changed, "legal_basis": basis})
        self.take_effect(amend(SEEN, received(event, cause=self.step()), self.case, NOW))

    @rule()
    def withdraw(self) -> None:
        event = CaseWithdrawn(case_id=self.case.id, reason=WithdrawalReason.BY_PERSON)
        self.take_effect(withdraw(SEEN, received(event, cause=self.step()), self.case, NOW))

    def step(self) -> str:
        self.steps += 1
        return str(self.steps)

    def take_effect(self, decision: Decision[RoutedCase]) -> None:
        if decision.state is None:
            return
        self.case = state_after(decision)
        told = [event for event in decision.events if isinstance(event, CaseProgressed)]
        assert told == [self.case.progress], "one change tells all standings once"
        for event in decision.events:
            if isinstance(event, PartnerEvent):
                self.is_the_partners_own(event)

    def is_the_partners_own(self, event: PartnerEvent) -> None:
        referral = self.case.referral(event.referral_id)
        assert referral is not None
        assert referral.partner_id == event.partner_id
        assert event.partner_id not in self.case.facts.excluded_partners
        if isinstance(event, ReferralOffered):
            assert tuple(concern.concern_id for concern in event.concerns) == referral.concerns

    @invariant()
    def each_concern_is_in_one_pair_of_hands(self) -> None:
        in_hand = Counter(concern for referral in self.case.open_referrals for concern in referral.concerns)
        expected = () if self.case.withdrawn else (concern.concern_id for concern in self.case.facts.concerns)
        assert in_hand == Counter(expected)

    @invariant()
    def no_partner_has_what_the_legal_basis_does_not_cover(self) -> None:
        basis = self.case.facts.legal_basis
        partners = {referral.partner_id for referral in self.case.open_referrals} - {None}
        assert not partners or basis.kind is not LegalBasisKind.NONE
        assert basis.partners is None or partners <= set(basis.partners)

    @invariant()
    def nobody_is_asked_twice_for_what_it_declined(self) -> None:
        asked = Counter((r.partner_id, concern) for r in self.case.referrals for concern in r.concerns if r.declined)
        assert set(asked.values()) <= {1}

    @invariant()
    def ids_are_unique(self) -> None:
        ids = [referral.id for referral in self.case.referrals]
        assert len(ids) == len(set(ids))


TestCaseInRouting = CaseInRouting.TestCase
TestCaseInRouting.settings = settings(
    max_examples=60, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
