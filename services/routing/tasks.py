"""The office's list of tasks, found and cut into pages by the database."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from services.routing.domain.case import Referral, RoutedCase
from services.routing.repository import DERIVED
from services.routing.surroundings import CASES
from shared.contracts.codes import Concern, Municipality, ReferralState, UnplacedReason, Urgency
from shared.mongo import Database, translated
from shared.pipeline.states import MongoStates

Place = tuple[int, datetime, str]
"""Where a task stands in the list: its rank, since when it waits, and its id."""

_URGENCIES: Final = [Urgency.URGENT.value, Urgency.SOON.value, Urgency.NORMAL.value]


class Order(StrEnum):
    """What comes first: the longest waiting, or the most urgent and of these the longest waiting."""

    OLDEST = "oldest"
    URGENCY = "urgency"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tasks; None means all."""

    reason: UnplacedReason | None = None
    code: Concern | None = None
    municipality: Municipality | None = None
    urgency: Urgency | None = None
    claimed_by: str | None = None
    claimed_until: datetime | None = None
    unclaimed: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """A referral in clearing, with its case and its place in the list."""

    case: RoutedCase
    referral: Referral
    place: Place


class Tasks:
    """The reading side of clearing."""

    def __init__(self, database: Database) -> None:
        self._collection = database[CASES]
        self._states = MongoStates(database, CASES, RoutedCase)

    async def page(self, wanted: Wanted, order: Order, after: Place | None, limit: int) -> list[Task]:
        """So many tasks behind a place in the list."""
        async with translated():
            found = self._collection.aggregate(_stages(wanted, order, after, limit), hint="clearing_since_1")
            return [self._task(document) async for document in found]

    def _task(self, document: dict[str, Any]) -> Task:
        id_, rank = document.pop("task")["id"], document.pop("rank")
        case = self._states.decoded(document)
        [referral] = [referral for referral in case.referrals if referral.id == id_]
        return Task(case, referral, (rank, referral.since, id_))


def _stages(wanted: Wanted, order: Order, after: Place | None, limit: int) -> list[dict[str, Any]]:
    """Cases with a task, each of their tasks that is wanted, in order, from the place on."""
    of_case = {
        "facts.municipality": wanted.municipality,
        "facts.urgency": wanted.urgency,
        "facts.concerns.code": wanted.code,
    }
    of_task = {"task.unplaced": wanted.reason, "task.claimed_by": wanted.claimed_by}
    cases = {name: value for name, value in of_case.items() if value is not None}
    tasks: dict[str, Any] = {name: value for name, value in of_task.items() if value is not None}
    if wanted.claimed_until is not None:
        tasks["task.claimed_at"] = {"$lte": wanted.claimed_until}
    if wanted.unclaimed:
        tasks["$and"] = [{"task.claimed_by": None}]
    if wanted.code is not None:
        tasks["$expr"] = {"$in": [wanted.code, _CODES_OF_TASK]}
    if after is not None:
        rank, since, id_ = after
        tasks["$or"] = [
            {"rank": {"$gt": rank}},
            {"rank": rank, "task.since": {"$gt": since}},
            {"rank": rank, "task.since": since, "task.id": {"$gt": id_}},
        ]
    urgency = {"$add": [1, {"$indexOfArray": [_URGENCIES, "$facts.urgency"]}]}
    rank_of = urgency if order is Order.URGENCY else {"$literal": 0}
    return [
        {"$match": {"clearing_since": {"$exists": True}, **cases}},
        {"$set": {"task": "$referrals", "rank": rank_of}},
        {"$unwind": "$task"},
        {"$match": {"task.state": ReferralState.CLEARING, **tasks}},
        {"$sort": {"rank": 1, "task.since": 1, "task.id": 1}},
        {"$limit": limit},
        {"$unset": list(DERIVED)},
    ]


_CODES_OF_TASK: Final = {
    "$map": {
        "input": {"$filter": {"input": "$facts.concerns", "cond": {"$in": ["$$this.concern_id", "$task.concerns"]}}},
        "in": "$$this.code",
    }
}
