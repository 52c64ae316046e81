"""Fills routing's database with cases whose partner let the time to respond pass."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from benchmarks.harness import AGREEMENTS
from benchmarks.trials.process import Assignment, run
from services.routing.agreement_files import load_agreements
from services.routing.domain.decisions import route
from services.routing.domain.situation import Situation
from services.routing.repository import CaseDocuments
from services.routing.surroundings import CASES
from shared import mongo
from shared.contracts.codes import AgeBand, Concern, LegalBasisKind, Municipality, Urgency
from shared.contracts.intake import CaseOpened, ConcernFacts, LegalBasis
from shared.envelope import Cause
from shared.pipeline.decisions import Received
from shared.pipeline.engine import utc_now

_AT_ONCE = 2_000


class Stock(Assignment):
    """How many."""

    cases: int


async def trial(stock: Stock) -> dict[str, Any]:
    """Each was offered to one partner a year ago, and nobody has looked at a clock since."""
    client = mongo.connect(stock.mongo)
    database = client["routing"]
    situation, then = Situation(load_agreements(AGREEMENTS)), utc_now() - timedelta(days=365)
    cases = CaseDocuments(database)
    for first in range(0, stock.cases, _AT_ONCE):
        states = []
        for number in range(first, min(first + _AT_ONCE, stock.cases)):
            case = _a_case(str(UUID(int=number)), then)
            received = Received(case, Cause.begin(), 1, "intake.cases.v1", 0, number)
            state = route(situation, received, None, then).state
            assert state is not None, "a new case is routed"
            states.append(cases.encoded(state.model_copy(update={"version": 1, "sequence": 2})))
        await database[CASES].insert_many(states, ordered=False)
    return {"stored": stock.cases}


def _a_case(case_id: str, received_at: Any) -> CaseOpened:
    concern = ConcernFacts(concern_id=case_id, code=Concern.DEBT, person_id=case_id, age_band=AgeBand.ADULT)
    return CaseOpened(
        case_id=case_id,
        person_id=case_id,
        received_at=received_at,
        municipality=Municipality.HOFHEIM,
        languages=("ar",),
        urgency=Urgency.NORMAL,
        legal_basis=LegalBasis(kind=LegalBasisKind.PUBLIC_TASK),
        concerns=(concern,),
    )


if __name__ == "__main__":
    run(trial, Stock)
