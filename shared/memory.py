"""How a process that handles batches lives with Python's garbage collector and the C library's heap."""

import ctypes
import gc
from contextlib import suppress
from typing import Final

_M_ARENA_MAX: Final = -8

BATCH_OBJECTS: Final = 50_000
"""More than most batches make; nearly all of them are gone by reference count before the collector would look."""


def share_heap() -> None:
    """Call once before threads start: glibc gives each of the driver's threads a heap of its own, which all fill by
    turns and none gives back. Another C library has no such setting and is left as it is."""
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def settle() -> None:
    """Call once after start-up: what was imported stays and need not be looked at again with every batch.

    Without this a fourth of a busy service's time goes into the collector.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(BATCH_OBJECTS, 20, 20)
