"""What happens to each case, told line by line while it happens."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

import httpx
from rich.text import Text

from shared.contracts import Event
from shared.contracts.routing import CaseProgressed
from wegweiser.live import Seen
from wegweiser.wording import sentence

Show = Callable[[Text], None]

_COLOURS: Final = ("cyan", "green", "magenta", "yellow", "blue", "bright_red", "bright_cyan", "bright_green")
_LABEL_WIDTH: Final = 8
_REMEMBERED: Final = 10_000


class Recent(dict[str, str]):
    """Remembers the newest entries only: a platform may run for weeks."""

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, value)
        if len(self) > _REMEMBERED:
            del self[next(iter(self))]


class Timeline:
    """Shows the events of all topics once; the label of a case is the reference its sender gave it."""

    def __init__(self, intake: httpx.AsyncClient, show: Show) -> None:
        self._intake = intake
        self._show = show
        self._shown_at = time.monotonic()
        self._labels = Recent()
        self._cases_of_referrals = Recent()
        self._told = Recent()

    async def follow(self, events: AsyncIterator[Seen]) -> None:
        """Show what comes, for ever."""
        async for seen in events:
            await self.add(seen)
            self._shown_at = time.monotonic()

    async def quiet(self, seconds: float) -> None:
        """Wait until nothing was shown for so long."""
        while True:
            shown_at = self._shown_at
            await asyncio.sleep(max(0.0, shown_at + seconds - time.monotonic()))
            if shown_at == self._shown_at:
                return

    async def add(self, seen: Seen) -> None:
        """Show one event; late duplicates and summaries of what was told already are passed over."""
        if isinstance(seen.event, CaseProgressed) or seen.id in self._told:
            return
        self._told[seen.id] = seen.topic
        case_id = self._case_of(seen.event)
        label = await self._label(case_id) if case_id else "platform"
        self._show(
            Text.assemble(
                (f"{seen.time.astimezone():%H:%M:%S}", "dim"),
                "  ",
                (label.ljust(_LABEL_WIDTH), _colour(label)),
                "  ",
                sentence(seen.event),
            )
        )

    def _case_of(self, event: Event) -> str | None:
        """The case an event is about; a partner's reply names its referral only."""
        referral_id: str | None = getattr(event, "referral_id", None)
        case_id: str | None = getattr(event, "case_id", None)
        if referral_id and case_id:
            self._cases_of_referrals[referral_id] = case_id
        return case_id or self._cases_of_referrals.get(referral_id or "")

    async def _label(self, case_id: str) -> str:
        if case_id not in self._labels:
            reference = await self._reference(case_id)
            if reference is None:
                return case_id[:_LABEL_WIDTH]
            self._labels[case_id] = reference
        return self._labels[case_id]

    async def _reference(self, case_id: str) -> str | None:
        """What intake knows the case by; None where it has no reference or does not answer just now."""
        try:
            answer = (await self._intake.get(f"/v1/cases/{case_id}")).raise_for_status().json()
        except httpx.HTTPError:
            return None
        reference: str | None = answer["source_reference"]
        return reference


def _colour(label: str) -> str:
    return _COLOURS[sum(label.encode()) % len(_COLOURS)]
