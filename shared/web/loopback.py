"""This very machine, as an address names it."""

from collections.abc import Mapping
from typing import Final

OURSELVES: Final = ("127.0.0.1", "::1", "localhost")
DIRECT: Final[Mapping[str, None]] = {"all://127.0.0.1": None, "all://[::1]": None, "all://localhost": None}
"""For httpx's `mounts`: what stays on this machine goes through no proxy, which would read it, secrets and all."""
