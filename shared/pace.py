"""How fast what one sender sends is taken, so that whoever sends without end waits, and nobody behind it."""

import time
from collections.abc import Callable
from typing import Final

BURST_SECONDS: Final = 10
"""Of the pace, taken at once from who was quiet before."""


class Pace:
    """A leaky bucket for each name: what was taken flows off by so much a second; who has filled one waits."""

    def __init__(self, per_second: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._taken: dict[str, tuple[float, float]] = {}
        """What has not flowed off yet, and when that was so."""

    def note(self, name: str, number: int = 1) -> None:
        """So many were taken. Nobody waits for longer than a burst takes to flow off."""
        self._taken[name] = (min(self._level(name) + number, 2 * self._burst), self._clock())

    def is_reached(self, name: str) -> bool:
        """Whether no more may be taken now."""
        return self._level(name) > self._burst

    @property
    def _burst(self) -> float:
        return self._per_second * BURST_SECONDS

    def _level(self, name: str) -> float:
        level, at = self._taken.get(name, (0.0, 0.0))
        return max(0.0, level - (self._clock() - at) * self._per_second)
