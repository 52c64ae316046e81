"""The sample cases: sent to intake, and looked after until each reached an end."""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import httpx

from shared.web.loopback import DIRECT
from wegweiser.expectations import unmet

_PAUSE_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 60.0


async def send(intake_url: str, auth: httpx.Auth, cases: Path) -> Counter[str]:
    """Import the file and count the outcomes; repeated until intake has answered each line for good.

    An import may be repeated, so neither a killed intake nor a database that is away loses or doubles a case.
    """
    lines = await asyncio.to_thread(cases.read_bytes)
    async with httpx.AsyncClient(base_url=intake_url, auth=auth, timeout=_ANSWER_SECONDS, mounts=DIRECT) as intake:
        while True:
            try:
                answer = await intake.post(
                    "/v1/cases:import", content=lines, headers={"Content-Type": "application/x-ndjson"}
                )
                outcomes = [json.loads(line) for line in answer.raise_for_status().text.splitlines()]
            except (httpx.HTTPError, json.JSONDecodeError):
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if not any(_is_for_later(outcome) for outcome in outcomes):
                return Counter(outcome["status"] for outcome in outcomes)
            await asyncio.sleep(_PAUSE_SECONDS)


async def still_unmet(intake_url: str, auth: httpx.Auth, expectations: Path, *, patience: float) -> list[str]:
    """Wait until every sample case reached an allowed end, `patience` seconds at most; returns what has not."""
    give_up = time.monotonic() + patience
    while True:
        try:
            lines = await asyncio.to_thread(unmet, intake_url, auth, expectations)
        except httpx.HTTPError as error:
            lines = [f"intake does not answer ({type(error).__name__})"]
        if not lines or time.monotonic() > give_up:
            return lines
        await asyncio.sleep(_PAUSE_SECONDS)


def _is_for_later(outcome: dict[str, Any]) -> bool:
    """Whether a line was refused for a reason that passes."""
    return outcome["status"] == "rejected" and httpx.codes.is_server_error(outcome["problem"]["status"])
