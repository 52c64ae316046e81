"""The id of a partner on the command line."""

import re
from typing import Annotated

import typer

from shared.contracts.base import PARTNER_PATTERN
from shared.topics import OWN_NAMES
from wegweiser.addresses import stop


def an_id(value: str) -> str:
    """The same, where a partner may be called so; else it ends the command with one line."""
    if not re.fullmatch(PARTNER_PATTERN, value):
        stop(f"{value} is no id of a partner: 2 to 31 of a-z, 0-9 and -, the first a letter", code=1)
    if value in OWN_NAMES:
        stop(f"{value} is a name of our own; the agreement has to call this partner otherwise", code=1)
    return value


Id = Annotated[str, typer.Argument(metavar="ID", help="as the agreement names the partner", callback=an_id)]
