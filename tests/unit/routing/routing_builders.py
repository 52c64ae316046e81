"""Cases, events and helpers for the tests of routing; each builder names only what a test is about."""

from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from lifecycle.arrivals import PERSON, received

from services.routing.agreement_files import load_agreements
from services.routing.domain.case import RoutedCase
from services.routing.domain.decisions import route
from services.routing.domain.situation import Situation
from shared.contracts import Event
from shared.contracts.base import derived_id
from shared.contracts.codes import AgeBand, Concern, LegalBasisKind, Municipality, Urgency
from shared.contracts.intake import CaseOpened, ConcernFacts, LegalBasis
from shared.contracts.routing import ReferralOffered
from shared.pipeline.decisions import Decision
from wegweiser.settings import AGREEMENTS as DIRECTORY

AGREEMENTS: Final = load_agreements(DIRECTORY)
SEEN: Final = Situation(AGREEMENTS)
"""Nobody has reported anything."""
NOW: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MARCH_2017: Final = datetime(2017, 3, 14, 9, 5, tzinfo=UTC)
AUGUST_2017: Final = datetime(2017, 8, 15, 8, 5, tzinfo=UTC)
EVERYTHING: Final = LegalBasis(kind=LegalBasisKind.PUBLIC_TASK)

E = TypeVar("E", bound=Event)


def a_concern(code: Concern, *, age: AgeBand = AgeBand.ADULT, name: str = "") -> ConcernFacts:
    """A concern whose id follows from its code and `name`."""
    return ConcernFacts(concern_id=derived_id("concern", code, name), code=code, person_id=PERSON, age_band=age)


def a_case(*codes: Concern, age: AgeBand = AgeBand.ADULT, **facts: Any) -> CaseOpened:
    """A case with one concern for each code, of an adult in March 2017 unless told otherwise."""
    defaults: dict[str, Any] = {
        "case_id": derived_id("case"),
        "person_id": PERSON,
        "received_at": MARCH_2017,
        "municipality": Municipality.HOFHEIM,
        "languages": ("ar",),
        "urgency": Urgency.NORMAL,
        "legal_basis": EVERYTHING,
        "concerns": tuple(a_concern(code, age=age) for code in codes),
    }
    return CaseOpened(**defaults | facts)


def opened(case: CaseOpened) -> Decision[RoutedCase]:
    """What routing decides about a case it did not know."""
    return route(SEEN, received(case), None, NOW)


def a_routed_case(*codes: Concern, **facts: Any) -> RoutedCase:
    """The state after such a case was opened."""
    return state_after(opened(a_case(*codes, **facts)))


def state_after(decision: Decision[RoutedCase]) -> RoutedCase:
    """The state that a decision changed."""
    assert decision.state is not None
    return decision.state


def events_of(decision: Decision[RoutedCase], kind: type[E]) -> list[E]:
    """The events of one kind."""
    return [event for event in decision.events if isinstance(event, kind)]


def partners_asked(decision: Decision[RoutedCase]) -> set[str]:
    """Who was offered something."""
    return {offer.partner_id for offer in events_of(decision, ReferralOffered)}


def case_number(number: int) -> str:
    """The id of a case whose turn in the alternation is `number`."""
    return str(UUID(int=number))
