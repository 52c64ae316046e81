"""Routing as the tests of this folder have it before them: two instances on one database."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from fastapi import FastAPI
from signing import signed

from services.routing.handlers import reactions
from services.routing.repository import RoutedCases
from shared.contracts import Event
from shared.contracts.base import new_id
from shared.contracts.codes import AgeBand, Concern, LegalBasisKind, Municipality, Urgency
from shared.contracts.intake import CaseOpened, ConcernFacts, LegalBasis
from shared.envelope import Cause, new_traceparent
from shared.mongo import Database
from shared.pipeline.decisions import Command, Decision, Done, Received
from shared.pipeline.engine import Engine
from shared.web.roles import Role

AUGUST_2017: Final = datetime(2017, 8, 15, 8, 5, tzinfo=UTC)


def a_concern(code: Concern, age: AgeBand = AgeBand.ADULT, after: tuple[str, ...] = ()) -> ConcernFacts:
    """A concern of somebody."""
    return ConcernFacts(concern_id=new_id(), code=code, person_id=new_id(), age_band=age, after=after)


def a_case(*concerns: ConcernFacts, **facts: Any) -> CaseOpened:
    """A case of August 2017; without concerns a minor looks for a home, which is the front desk's task."""
    defaults: dict[str, Any] = {
        "case_id": new_id(),
        "person_id": new_id(),
        "received_at": AUGUST_2017,
        "municipality": Municipality.HOFHEIM,
        "languages": ("ar",),
        "urgency": Urgency.NORMAL,
        "legal_basis": LegalBasis(kind=LegalBasisKind.PUBLIC_TASK),
        "concerns": concerns or (a_concern(Concern.HOUSING_SEARCH, AgeBand.TEENAGER),),
    }
    return CaseOpened(**defaults | facts)


def as_staff(staff_id: str = "office-1") -> dict[str, str]:
    """One of the front desk."""
    return signed(Role.FRONT_DESK, sub=staff_id)


@dataclass(frozen=True)
class Instance:
    """One instance: its door, and its engine for what arrives on the bus."""

    app: FastAPI
    http: httpx.AsyncClient
    engine: Engine[Any]
    cases: RoutedCases


@dataclass
class Routing:
    """What the tests talk to and look into."""

    one: Instance
    other: Instance
    database: Database
    _offset: int = field(default=0)

    async def hears(self, *events: Event, by: str | None = None) -> None:
        """The events take effect, as if they had arrived together; replies on the topic of their partner."""
        outcomes, _ = await self.one.engine.run([self._command(event, by) for event in events])
        assert all(isinstance(outcome, Done) for outcome in outcomes)

    def _command(self, event: Event, by: str | None) -> Command[Any]:
        self._offset += 1
        [reaction] = [r for r in reactions(lambda: self.one.cases.situation) if r.event is type(event)]
        cause = Cause(new_id(), new_id(), new_traceparent())
        topic = f"partner.{by}.replies.v1" if by else "intake.cases.v1"
        received: Received[Any] = Received(event, cause, 0, topic, 0, self._offset, by, None)

        def decide(known: Any, now: datetime) -> Decision[Any]:
            return reaction.decide(received, known, now)

        return Command(reaction.key(event), cause, decide)

    async def told(self, topic: str, referral_id: str) -> list[Mapping[str, Any]]:
        """What was told about a referral on a topic, in order: the journal, which is published as it stands."""
        rows = self.database["outbox"].find({"topic": topic, "subject": referral_id}).sort("sequence")
        return [row async for row in rows]


class NoPublisher:
    """Nothing is published."""

    def nudge(self, streams: Iterable[str]) -> None:
        """What was told stays in the journal."""
