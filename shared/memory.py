"""How a process that handles batches lives with Python's garbage collector and the C library's heap."""

import asyncio
import ctypes
import gc
from contextlib import suppress
from typing import Final

_M_ARENA_MAX: Final = -8
_M_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 128 * 1024

BATCH_OBJECTS: Final = 50_000
"""More than most batches make; nearly all of them are gone by reference count before the collector would look."""

_EVERY_SECONDS: Final = 10
_WORTH_IT: Final = 2_000
"""Objects made since the last look; a service at rest makes fewer."""


def share_heap() -> None:
    """Call once before threads start. By default glibc gives each of the driver's threads a heap of its own, and after
    the first large buffer keeps all such buffers on them: they fill by turns and none gives back. Another C library has
    no such settings and is left as it is."""
    libc = ctypes.CDLL(None)
    with suppress(AttributeError):
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)


def settle() -> None:
    """Call once after start-up: what was imported stays and need not be looked at again with every batch.

    Without this a fourth of a busy service's time goes into the collector.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(BATCH_OBJECTS, 20, 20)


async def stay_small() -> None:
    """Give back, for ever, what a load has left behind: the collector looks late, and the C library keeps the holes."""
    libc = ctypes.CDLL(None)
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        young, *older = gc.get_count()
        if young > _WORTH_IT or any(older):
            gc.collect()
            with suppress(AttributeError):
                libc.malloc_trim(0)
