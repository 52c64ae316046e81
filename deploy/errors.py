"""What can keep the platform from starting."""

from pathlib import Path


class DeployError(Exception):
    """The text is one an operator can act upon; it is shown without a trace."""


class KilledError(DeployError):
    """A process was killed while it started; nothing is wrong with it."""


class ForeignDataError(DeployError):
    """Data that our passwords do not fit."""

    def __init__(self, name: str, data: Path, secrets: Path) -> None:
        super().__init__(
            f"{name} cannot start: {data} was not made with the passwords in {secrets}, but by an earlier version for"
            f" instance; bring those back, or start afresh: rm -r {data.parent}"
        )
