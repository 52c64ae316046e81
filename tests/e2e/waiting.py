"""Waiting for a condition, bounded, and saying what was seen last."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T]], *, seconds: float = 60) -> T:
    """What `look` finds as soon as it is true; fails with what it found last."""
    give_up = time.monotonic() + seconds
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < give_up, f"not within {seconds} s; seen last: {found!r}"
        await asyncio.sleep(0.1)
