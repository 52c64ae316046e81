"""Files of settings for others: a shell reads them, and whoever reads `NAME=value` lines."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from deploy.secrets import write_private

_PLAIN: Final = re.compile(r"[\w@%+=:,./?-]*")


def write_settings(path: Path, settings: Mapping[str, str]) -> None:
    """Write them as a whole, over the ones before, for the file's owner alone."""
    write_private(path, "".join(f"{name}={_for_a_shell(value)}\n" for name, value in settings.items()))


def _for_a_shell(value: str) -> str:
    """Quoted only where a shell needs it: other readers of such files take quotation marks for a part of the value."""
    return value if _PLAIN.fullmatch(value) else shlex.quote(value)
