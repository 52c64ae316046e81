"""`/v1/referrals/{referral_id}/explanation`: why a referral is where it is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter

from services.routing.api.views import ConcernView, LinkView, ReferralId, View, chain, concern_shown, said
from services.routing.domain.agreement import RuleVerdict
from services.routing.domain.clearing import Refusal
from services.routing.domain.explanation import TakerVerdict
from services.routing.repository import RoutedCases
from services.routing.surroundings import AgreementSource
from shared.contracts.codes import Actor, CapacityStatus, Municipality, ReferralState, UnplacedReason
from shared.web.problems import PROBLEM_RESPONSES, ProblemError
from shared.web.roles import Role, open_to


class RuleView(View):
    """A rule of the field that did not count, and why."""

    rule: str
    verdict: RuleVerdict


class TakerView(View):
    """A taker of the rule, with the capacity and load as they were seen when the decision was made.

    `places` are those left of a limited offer, `weeks` the wait it reported, `load` its open referrals where the rule
    asks for them.
    """

    taker: str
    verdict: TakerVerdict
    status: CapacityStatus | None
    places: int | None
    weeks: int | None
    load: int | None


class ConcernDecision(ConcernView):
    """How the destination of one concern was found; `rule` is the one that matched."""

    rule: str | None
    other_rules: list[RuleView]
    takers: list[TakerView]


class DecisionView(View):
    """One decision about a referral: to whom it went, or why to nobody."""

    at: datetime
    by: Actor
    reason: str | None
    agreement: str | None
    municipality: Municipality
    partner_id: str | None
    unplaced: UnplacedReason | None
    sheet: str | None
    concerns: list[ConcernDecision]


class ExplanationView(View):
    """Why a referral is where it is. `decisions` begin with the first one, by the rules; the office's follow. `chain`
    holds every referral of these concerns; `waits_for` are the concerns that have to be settled before."""

    case_id: str
    referral_id: str
    state: ReferralState
    partner_id: str | None
    since: datetime
    follows: str | None
    concerns: list[ConcernView]
    decisions: list[DecisionView]
    waits_for: list[ConcernView]
    chain: list[LinkView]
    sentence: str


def explanations_router(cases: RoutedCases, agreements: AgreementSource) -> APIRouter:
    """Why referrals are where they are. Senders are unknown here: social workers cannot be shown theirs alone."""
    router = APIRouter(
        tags=["explanations"],
        responses=PROBLEM_RESPONSES,
        dependencies=[open_to(Role.FRONT_DESK, Role.COORDINATOR, Role.DATA_PROTECTION)],
    )

    @router.get("/v1/referrals/{referral_id}/explanation")
    async def explain(referral_id: ReferralId) -> ExplanationView:
        """What was looked at, what followed, and one German sentence for the social worker."""
        case = await cases.get(referral_id)
        referral = case.referral(referral_id) if case else None
        if case is None or referral is None:
            raise ProblemError(404, Refusal.UNKNOWN_REFERRAL, "There is no such referral.")
        explained = await cases.explanations(case.id, referral.id)
        terms = await agreements.all()
        concerns = case.concerns_of(referral)
        awaited = {id_ for concern in concerns for id_ in case.awaited(concern)}
        return ExplanationView(
            case_id=case.id,
            referral_id=referral.id,
            state=referral.state,
            partner_id=referral.partner_id,
            since=referral.since,
            follows=referral.follows,
            concerns=[concern_shown(concern) for concern in concerns],
            decisions=[_decision(document) for document in explained],
            waits_for=[concern_shown(other) for other in case.facts.concerns if other.concern_id in awaited],
            chain=chain(case, referral),
            sentence=said(case, referral, terms.in_force(case.day), explained[-1] if explained else None),
        )

    return router


def _decision(document: Mapping[str, Any]) -> DecisionView:
    return DecisionView.model_validate({**document, "concerns": [_looked_at(seen) for seen in document["concerns"]]})


def _looked_at(seen: Mapping[str, Any]) -> dict[str, Any]:
    matched = next((rule["rule"] for rule in seen["rules"] if rule["verdict"] == RuleVerdict.MATCHED), None)
    return {**seen, "rule": matched, "other_rules": [rule for rule in seen["rules"] if rule["rule"] != matched]}
