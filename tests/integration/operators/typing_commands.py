"""What the tests of this folder are given to type commands with."""

from collections.abc import Awaitable, Callable

from click.testing import Result

Typed = Callable[..., Awaitable[Result]]
