"""Does something so many times a second, whether or not the one before is done."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


async def at_pace(per_second: int, seconds: int, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Start `act` at even distances and wait for all of them."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    acting = []
    for number in range(per_second * seconds):
        await asyncio.sleep(began + number / per_second - loop.time())
        acting.append(asyncio.create_task(act()))
    await asyncio.gather(*acting)
