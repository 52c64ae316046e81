"""Tries an agreement out on recorded cases in a real database."""

import time
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, Final

from benchmarks.trials.process import Assignment, run
from benchmarks.trials.synthetic import TERM, an_agreement, some_facts
from services.routing.agreement_store import AgreementStore
from services.routing.domain.case import Referral
from services.routing.domain.simulation import Simulation
from services.routing.repository import MIGRATIONS, RoutedCases
from services.routing.surroundings import CASES
from shared import mongo
from shared.contracts.base import new_id
from shared.contracts.codes import ReferralState, ServiceOutcome
from shared.memory import settle
from shared.migrations import migrate
from shared.mongo import Database

_AT_ONCE: Final = 5_000
_FIELDS: Final = 60


class TryOut(Assignment):
    """Record `cases` in the database `name` where it has none, and replay them."""

    name: str
    cases: int


async def trial(asked: TryOut) -> dict[str, float]:
    """Recorded cases a second, and the CPU of this process a case."""
    client = mongo.connect(asked.mongo)
    database = client[asked.name]
    if not await database[CASES].find_one():
        await _record(database, asked.cases)
    simulation = Simulation(an_agreement(40, _FIELDS))
    settle()
    began, cpu = time.perf_counter(), time.process_time()
    async for recorded in RoutedCases(database, AgreementStore(database)).recorded(*TERM):
        simulation.replay(recorded)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    if simulation.outcome.cases != asked.cases or not simulation.outcome.until_appointment:
        raise RuntimeError(f"{simulation.outcome.cases} cases replayed")
    return {"rate": asked.cases / seconds, "cpu_microseconds": cpu / asked.cases * 1e6}


async def _record(database: Database, number: int) -> None:
    """Cases with a referral a concern that was offered, accepted, got an appointment and was completed."""
    await migrate(database, MIGRATIONS)
    chance = Random(number)
    for first in range(0, number, _AT_ONCE):
        documents = []
        for _ in range(min(_AT_ONCE, number - first)):
            facts = some_facts(chance, _FIELDS)
            day = datetime.fromisoformat(facts["received_at"]).date()
            referrals = [_referral(concern["concern_id"], day, chance) for concern in facts["concerns"]]
            documents.append({"_id": facts["case_id"], "version": 3, "facts": facts, "referrals": referrals})
        await database[CASES].insert_many(documents, ordered=False)


def _referral(concern_id: str, day: date, chance: Random) -> dict[str, Any]:
    """As long as one is in life."""
    ended = Referral(
        id=new_id(),
        partner_id=f"partner-{chance.randrange(40)}",
        state=ReferralState.COMPLETED,
        concerns=(concern_id,),
        since=datetime(2026, 7, 1, tzinfo=UTC),
        outcome=ServiceOutcome.HELPED,
        offered_on=day,
        answered_on=day + timedelta(days=chance.randrange(1, 8)),
        appointment_on=day + timedelta(days=9),
    )
    return ended.model_dump()


if __name__ == "__main__":
    run(trial, TryOut)
