"""How a process that handles batches lives with Python's garbage collector and the C library's heap."""

import ctypes
import gc
from contextlib import suppress
from typing import Final

_M_ARENA_MAX: Final = -8
_M_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 128 * 1024

BATCH_OBJECTS: Final = 50_000
"""More than most batches make; nearly all of them are gone by reference count before the collector would look."""


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
