"""What is wrong with a request: where, and what was expected there. Never the value that was sent."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

LONGEST_NAME: Final = 64
"""Characters of a field name that are repeated; an unknown field's name is the sender's own text."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `where` is a JSON pointer into the body (RFC 6901; "" is all of it)."""

    where: str
    expected: str


def pointer(*path: str | int) -> str:
    """The JSON pointer of a path into the body."""
    return "".join(f"/{str(part)[:LONGEST_NAME].replace('~', '~0').replace('/', '~1')}" for part in path)


def faults_of(error: ValidationError) -> list[Fault]:
    """What pydantic found, as faults.

    A list of which a member is wrong counts as too short besides; that says something false of what was sent.
    """
    found: Sequence[Any] = error.errors(include_url=False, include_context=False, include_input=False)
    around = {item["loc"][:length] for item in found for length in range(len(item["loc"]))}
    return [
        Fault(pointer(*item["loc"]), item["msg"])
        for item in found
        if item["type"] != "too_short" or item["loc"] not in around
    ]


def as_members(faults: Iterable[Fault]) -> list[dict[str, str]]:
    """The `errors` member of a problem."""
    return [{"pointer": fault.where, "detail": fault.expected} for fault in faults]
