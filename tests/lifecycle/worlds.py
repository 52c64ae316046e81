"""Where the steps of the state machine take effect: in memory, or in the real repository behind the real engine."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import pytest

from lifecycle.agreements import TERMS
from services.routing import surroundings
from services.routing.domain.agreement import Agreements
from services.routing.domain.capacity import PartnerCapacity
from services.routing.domain.case import RoutedCase
from services.routing.domain.situation import Situation
from services.routing.repository import EXPLANATIONS, RoutedCases
from services.routing.surroundings import CAPACITIES, CASES, TAKEN_PLACES
from shared.mongo import Database
from shared.pipeline.decisions import Command, Decision, Done, Failed, Repeated
from shared.pipeline.engine import INBOX, Engine
from shared.pipeline.outbox import OUTBOX


class Looking(Protocol):
    """What a command sees beside the case; the repository in service."""

    situation: Situation


Step = Callable[[Looking], Command[Any]]


class World(Protocol):
    """Lets steps take effect."""

    now: datetime

    def take(self, step: Step, *, twice: bool) -> Decision[Any] | None:
        """What was decided, None where the step was a repetition; `twice` lets it arrive again, or at once twice."""
        ...

    def case(self, case_id: str) -> RoutedCase:
        """The case as it is kept."""
        ...


def changes(decision: Decision[Any]) -> bool:
    return decision.state is not None or bool(decision.events)


class InMemory:
    """Applies decisions to states in a dictionary."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.situation = Situation(TERMS)
        self._states: dict[str, Any] = {}
        self._taken: set[tuple[str, str]] = set()
        self._marks: set[str] = set()

    def take(self, step: Step, *, twice: bool) -> Decision[Any] | None:
        decision = self._take_once(step)
        if twice and (again := self._take_once(step)) is not None:
            assert not changes(again), "the same step took effect twice"
        return decision

    def _take_once(self, step: Step) -> Decision[Any] | None:
        self._look_around()
        command = step(self)
        marks = {mark.id for mark in command.marks}
        if marks & self._marks:
            return None
        self._marks |= marks
        decision = command.decide(self._known(command.key), self.now)
        if decision.state is not None and not decision.apart:
            state = decision.state
            if isinstance(state, RoutedCase):
                self._taken |= set(state.taken)
                ended = {referral.id for referral in state.referrals if not referral.is_open}
                self._taken = {(report, id_) for report, id_ in self._taken if id_ not in ended}
                state = state.model_copy(update={"explained": (), "taken": ()})
            self._states[state.id] = state
        return decision

    def _known(self, key: str | None) -> Any:
        return self._states.get(key or "") or next(
            (state for state in self._states.values() if isinstance(state, RoutedCase) and state.referral(key or "")),
            None,
        )

    def _look_around(self) -> None:
        used = Counter(report for report, _ in self._taken)
        reports = [state for state in self._states.values() if isinstance(state, PartnerCapacity)]
        rooms = {(r.partner_id, r.code): r.room(used[r.report]) for r in reports if r.expires_at > self.now}
        cases = [state for state in self._states.values() if isinstance(state, RoutedCase)]
        loads = Counter(
            partner for case in cases for partner in {r.partner_id or "office" for r in case.open_referrals}
        )
        self.situation = Situation(TERMS, rooms, loads)

    def case(self, case_id: str) -> RoutedCase:
        state = self._states[case_id]
        assert isinstance(state, RoutedCase)
        return state


class Terms:
    """The agreement of these tests as the repository asks for it."""

    async def all(self) -> Agreements:
        return TERMS


class Stored:
    """Two instances of the service on one real database."""

    COLLECTIONS: Final = (CASES, CAPACITIES, TAKEN_PLACES, EXPLANATIONS, INBOX, OUTBOX)

    def __init__(
        self, now: datetime, database: Database, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.now = now
        self._database = database
        self._runner = runner
        monkeypatch.setattr(surroundings, "utc_now", lambda: self.now)
        monkeypatch.setattr(surroundings, "_FRESH", -1.0)  # the real clock stands still while this one moves
        self._instances = [RoutedCases(database, Terms()) for _ in range(2)]
        self._engines: list[Engine[Any]] = [Engine(database, i, clock=lambda: self.now) for i in self._instances]
        self._turn = 0
        runner.run(self._empty())

    async def _empty(self) -> None:
        await asyncio.gather(*(self._database[name].delete_many({}) for name in self.COLLECTIONS))

    def take(self, step: Step, *, twice: bool) -> Decision[Any] | None:
        self._turn += 1
        which = [0, 1] if twice else [self._turn % 2]
        outcomes = self._runner.run(self._run(step, which))
        assert not any(isinstance(outcome, Failed) for outcome in outcomes), outcomes
        done = [outcome.decision for outcome in outcomes if isinstance(outcome, Done)]
        assert len([decision for decision in done if changes(decision)]) <= 1, "two instances did the same"
        if not done:
            assert all(isinstance(outcome, Repeated) for outcome in outcomes)
            return None
        return max(done, key=changes)

    async def _run(self, step: Step, which: list[int]) -> list[Any]:
        await asyncio.gather(*(self._instances[number].load([]) for number in which))
        commands = {number: step(self._instances[number]) for number in which}
        results = await asyncio.gather(*(self._engines[number].run([commands[number]]) for number in which))
        return [outcome for outcomes, _ in results for outcome in outcomes]

    def case(self, case_id: str) -> RoutedCase:
        loaded = self._runner.run(self._instances[0].get(case_id))
        assert loaded is not None
        self._runner.run(self._is_whole(loaded))
        return loaded

    async def _is_whole(self, case: RoutedCase) -> None:
        """What is kept beside the case fits it: its events by number, and a reason for each placement."""
        rows = await self._database[OUTBOX].find({"stream": case.id, "sequence": {"$gt": 0}}).to_list(None)
        numbers = [row["sequence"] for row in rows]
        assert len(set(numbers)) == len(numbers)
        assert max(numbers) == case.sequence
        explained = {why["referral_id"] async for why in self._database[EXPLANATIONS].find({"case_id": case.id})}
        assert explained == {r.id for r in case.referrals if r.partner_id or r.unplaced or r.sheet}
        places = await self._database[TAKEN_PLACES].find({}).to_list(None)
        assert all((found := case.referral(place["referral_id"])) and found.is_open for place in places)


A_MOMENT: Final = timedelta(seconds=2)
"""Between two steps: longer than what an instance saw may be old."""
