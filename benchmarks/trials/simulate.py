"""Tries an agreement out on recorded cases in a real database."""

import json
import time
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from benchmarks.trials.process import Assignment, run
from benchmarks.trials.synthetic import TERM, an_agreement, some_facts
from services.routing.agreement_store import AgreementStore
from services.routing.domain.simulation import OFFERED, SCHEDULED, Simulation
from services.routing.repository import MIGRATIONS, RoutedCases
from services.routing.surroundings import CASES
from shared import mongo
from shared.contracts import BY_EVENT
from shared.contracts.base import new_id
from shared.contracts.routing import CaseProgressed, ReferralAccepted
from shared.memory import settle
from shared.migrations import migrate
from shared.mongo import Database
from shared.pipeline import outbox

_AT_ONCE: Final = 5_000
_FIELDS: Final = 60
_PROGRESSED: Final = BY_EVENT[CaseProgressed].type
_ACCEPTED: Final = BY_EVENT[ReferralAccepted].type


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
    """Cases with a referral a concern that was offered, accepted and got an appointment, and their journals."""
    await migrate(database, (*outbox.MIGRATIONS, *MIGRATIONS))
    chance = Random(number)
    for first in range(0, number, _AT_ONCE):
        documents, rows = [], []
        for _ in range(min(_AT_ONCE, number - first)):
            facts = some_facts(chance, _FIELDS)
            at = datetime.fromisoformat(facts["received_at"])
            referrals = [_referral(concern["concern_id"], chance) for concern in facts["concerns"]]
            documents.append({"_id": facts["case_id"], "version": 3, "facts": facts, "referrals": referrals})
            rows += [
                _row(facts["case_id"], referral, sequence, type_, at + timedelta(days=days))
                for referral in referrals
                for sequence, (type_, days) in enumerate(_life(chance))
            ]
        await database[CASES].insert_many(documents, ordered=False)
        await database[outbox.OUTBOX].insert_many(rows, ordered=False)


def _referral(concern_id: str, chance: Random) -> dict[str, Any]:
    return {
        "id": new_id(),
        "partner_id": f"partner-{chance.randrange(40)}",
        "state": "completed",
        "concerns": [concern_id],
        "unplaced": None,
        "sheet": None,
        "outcome": "helped",
    }


def _life(chance: Random) -> list[tuple[str, int]]:
    answered = chance.randrange(1, 8)
    return [
        (OFFERED, 0),
        (_PROGRESSED, 0),
        (_ACCEPTED, answered),
        (_PROGRESSED, answered),
        (SCHEDULED, answered),
        (_PROGRESSED, answered),
    ]


def _row(case_id: str, referral: dict[str, Any], sequence: int, type_: str, at: datetime) -> dict[str, Any]:
    """As long as such a row is in life."""
    told = {"partner_id": referral["partner_id"], "starts_at": (at + timedelta(days=9)).isoformat()}
    return {
        "_id": new_id(),
        "stream": case_id,
        "sequence": sequence,
        "topic": f"partner.{referral['partner_id']}.referrals.v1",
        "subject": referral["id"],
        "type": type_,
        "time": at,
        "data": json.dumps(told).ljust(400),
    }


if __name__ == "__main__":
    run(trial, TryOut)
