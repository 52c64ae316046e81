"""Cases that come in over HTTP without a pause, from callers that repeat whatever was not answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any
from uuid import uuid4

import httpx

from e2e.cases import a_case
from e2e.consistency import Accepted
from e2e.waiting import eventually

_CALLERS = 3
_MOST_CASES = 500
"""Calendars are finite: what gets no slot would never end."""
_LINES = 20
_ANSWER_SECONDS = 3.0
_AGAIN_SECONDS = 0.2
_PATIENCE_SECONDS = 90.0
_WITH_PARTNERS = (
    *("german_course", "integration_course") * 3,
    *("housing_search", "job_search", "childcare"),
    "debt",
)


class Stream:
    """What was sent and accepted. `doors` are the addresses of intake, tried in turn."""

    def __init__(self, sign_in: httpx.Auth, *doors: str) -> None:
        self._sign_in = sign_in
        self.doors = list(doors)
        self.accepted: list[Accepted] = []
        self._sent = 0
        self._ended = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set() or self._sent >= _MOST_CASES

    def end(self) -> None:
        """Let the callers finish what they have begun."""
        self._ended.set()

    async def open_cases(self, chance: Random) -> None:
        """One after another; some are withdrawn or amended at once."""
        while not self.has_ended:
            self._sent += 1
            case, ends = some_case(chance)
            answer = await self._answered("/v1/cases", case, **{"Idempotency-Key": str(uuid4())})
            case_id = answer.json()["case_id"]
            match chance.randrange(10):
                case 0:
                    await self._answered(f"/v1/cases/{case_id}/withdraw", {"reason": "by_person"})
                    ends = dict.fromkeys(ends, "withdrawn")
                case 1 if "debt" not in ends and "clearing" not in ends.values():
                    concerns = [{"code": "debt", "for_person": "p1"}]
                    await self._answered(f"/v1/cases/{case_id}/amend", {"concerns": concerns})
                    ends = {**ends, "debt": "scheduled"}
            self.accepted.append(Accepted(case_id, ends))
            await self._pause(chance.uniform(0.2, 1))

    async def import_cases(self, chance: Random) -> None:
        """File after file; each is repeated until every line has an answer for good."""
        while not self.has_ended:
            self._sent += _LINES
            cases, ends = zip(*(some_case(chance, source_reference=str(uuid4())) for _ in range(_LINES)), strict=True)
            case_ids = await self._imported(cases)
            self.accepted += map(Accepted, case_ids, ends)
            await self._pause(chance.uniform(1, 3))

    async def one_goes_through(self) -> None:
        """A case that is sent now is scheduled: whatever was broken works again."""
        answer = await self._answered("/v1/cases", a_case())
        case_id = answer.json()["case_id"]
        self.accepted.append(Accepted(case_id, {"german_course": "scheduled"}))

        async def is_scheduled() -> bool:
            answer = await self._answered(f"/v1/cases/{case_id}")
            return [concern["state"] for concern in answer.json()["concerns"]] == ["scheduled"]

        await eventually(is_scheduled, seconds=_PATIENCE_SECONDS)

    async def _imported(self, cases: Sequence[dict[str, Any]]) -> list[str]:
        lines = "\n".join(map(json.dumps, cases))
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                answer = await self._answered("/v1/cases:import", lines, **{"Content-Type": "application/x-ndjson"})
                with suppress(json.JSONDecodeError):  # broken off
                    outcomes = list(map(json.loads, answer.text.splitlines()))
                    refused = [one["problem"] for one in outcomes if one["status"] == "rejected"]
                    assert all(problem["status"] == httpx.codes.SERVICE_UNAVAILABLE for problem in refused), refused
                    if len(outcomes) == len(cases) and not refused:
                        return [outcome["case_id"] for outcome in outcomes]

    async def _answered(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        """What intake says to a POST of `body`, or to a GET where there is none, when it is neither away nor busy."""
        method = "GET" if body is None else "POST"
        content = body if isinstance(body, str | None) else json.dumps(body)
        headers = {"Content-Type": "application/json", **headers}
        async with asyncio.timeout(_PATIENCE_SECONDS), self._client() as intake:
            while True:
                self.doors.append(self.doors.pop(0))
                with suppress(httpx.TransportError):
                    answer = await intake.request(method, self.doors[-1] + path, content=content, headers=headers)
                    if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                        assert answer.is_success, answer.text
                        return answer
                await asyncio.sleep(_AGAIN_SECONDS)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(auth=self._sign_in, timeout=_ANSWER_SECONDS)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)


def some_case(chance: Random, **said: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """A case and the end of each of its concerns: nothing may be passed on without a legal basis."""
    codes = set(chance.choices(_WITH_PARTNERS, k=chance.choice((1, 1, 2, 3))))
    concerns = [{"code": code, "for_person": "p1"} for code in sorted(codes)]
    case = a_case(**{"source_reference": None, "concerns": concerns, **said})
    if chance.random() < 0.1:
        case["contact"]["may_contact_by"] = ["letter"]
    if chance.random() < 0.1:
        return {**case, "legal_basis": {"kind": "none"}}, dict.fromkeys(codes, "clearing")
    return case, dict.fromkeys(codes, "scheduled")


@asynccontextmanager
async def streaming(door: str, sign_in: httpx.Auth, *, seed: str) -> AsyncIterator[Stream]:
    """Cases stream in meanwhile; afterwards all that was begun has been answered."""
    stream = Stream(sign_in, door)
    async with asyncio.TaskGroup() as callers:
        for number in range(_CALLERS):
            callers.create_task(stream.open_cases(Random(f"{seed}/{number}")))
        callers.create_task(stream.import_cases(Random(f"{seed}/import")))
        try:
            yield stream
        finally:
            stream.end()
