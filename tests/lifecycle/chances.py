"""What may be in a case, and what those around it may say of it, drawn by chance."""

from datetime import date, timedelta
from typing import Any, Final

from hypothesis import strategies as st

from lifecycle.agreements import NOW
from lifecycle.arrivals import PERSON, REPLIES
from lifecycle.terms import HAND_ON, PARTNERS, TAKERS
from shared.contracts.base import derived_id
from shared.contracts.codes import (
    AgeBand,
    ClarificationTopic,
    Concern,
    DeclineReason,
    FailureReason,
    HandOnReason,
    LegalBasisKind,
    PauseReason,
    ServiceOutcome,
)
from shared.contracts.intake import ConcernFacts, LegalBasis

CODES: Final = [*map(Concern, ("general", "job_search", "housing_search", "childcare", "german_course")), *Concern]
"""Those that have several takers, or other surprises, more often."""

partners = st.sampled_from(sorted(PARTNERS))
some_partners = st.lists(partners, unique=True, max_size=2).map(tuple)
ids = st.integers(0, 4).map(lambda number: derived_id("concern", str(number)))
befores = st.just(()) | st.lists(ids, unique=True, max_size=2).map(tuple)
concerns = st.builds(
    ConcernFacts,
    concern_id=ids,
    code=st.sampled_from(CODES),
    person_id=st.just(PERSON),
    age_band=st.just(AgeBand.ADULT),
    after=befores,
)
concern_lists = st.lists(concerns, min_size=1, max_size=4, unique_by=lambda concern: concern.concern_id).map(tuple)


def _waiting_for_the_first(concerns: tuple[ConcernFacts, ...]) -> tuple[ConcernFacts, ...]:
    first, *others = concerns
    return first, *(other.model_copy(update={"after": (first.concern_id,)}) for other in others)


everything = st.just(LegalBasis(kind=LegalBasisKind.PUBLIC_TASK))
legal_bases = everything | st.builds(
    LegalBasis,
    kind=st.sampled_from(LegalBasisKind),
    partners=st.none() | st.lists(partners, unique=True, min_size=3).map(tuple),
    concerns=st.none() | st.lists(ids, unique=True, min_size=3).map(tuple),
    valid_until=st.sampled_from([None, NOW.date(), (NOW - timedelta(days=1)).date()]),
)
facts = st.fixed_dictionaries(
    {
        "concerns": concern_lists | concern_lists.map(_waiting_for_the_first),
        "legal_basis": legal_bases,
        "excluded_partners": st.just(()) | some_partners,
        "preferred_partners": st.just(()) | some_partners,
        "languages": st.sampled_from([("ar",), ("uk",), ()]),
    }
)

days_ahead = st.integers(-1, 40) | st.just(400)
reports_of = st.sampled_from(
    [(who, Concern(code)) for takers in (TAKERS, HAND_ON) for code in takers for who in takers[code] if who in PARTNERS]
) | st.tuples(partners, st.sampled_from(CODES))
"""Who reports about which field: mostly what the agreement gives it."""

FITTING: Final = {
    "offered": ["referral.accepted", "referral.accepted", "referral.declined", "clarification.requested"],
    "waiting": ["clarification.answered"],
    "accepted": ["service.started", "service.started", "referral.handed_on", "clarification.requested"],
    "scheduled": ["service.started", "referral.handed_on"],
    "in_service": ["service.paused", "referral.completed", "referral.failed", "referral.handed_on"],
    "on_hold": ["service.resumed"],
    "completed": ["referral.reopened"],
    "failed": ["referral.reopened"],
}
"""What a partner that knows the states says, so that long lives are lived too."""


def sayings(event: str, today: date) -> st.SearchStrategy[dict[str, Any]]:
    """What a partner may say with this reply."""
    reasons: dict[str, st.SearchStrategy[Any]] = {
        "referral.declined": st.sampled_from(DeclineReason),
        "service.paused": st.sampled_from(PauseReason),
        "referral.handed_on": st.sampled_from(HandOnReason),
        "referral.failed": st.sampled_from(FailureReason),
    }
    said: dict[str, st.SearchStrategy[Any]] = {
        "reason": reasons.get(event, st.nothing()),
        "topic": st.sampled_from(ClarificationTopic),
        "outcome": st.sampled_from(ServiceOutcome),
        "review_on": days_ahead.map(lambda days: today + timedelta(days=days)),
        "to": st.none() | partners | st.just("nobody"),
    }
    fields = REPLIES[event][0].model_fields
    return st.fixed_dictionaries({name: values for name, values in said.items() if name in fields})
