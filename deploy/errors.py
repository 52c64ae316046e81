"""What can keep the platform from starting."""


class DeployError(Exception):
    """The text is one an operator can act upon; it is shown without a trace."""


class KilledError(DeployError):
    """A process was killed while it started; nothing is wrong with it."""
