"""How large a body may be. Counted while it arrives, since a chunked body does not say."""

from collections.abc import Mapping
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.web.problems import ProblemError, response_to

BODY_BYTES: Final = 256 * 1024
"""A household of thirty with long notes is well below."""


class BodyLimit:
    """Refuses bodies above `BODY_BYTES`, or above what `other_limits` says of a path.

    None is for a path that reads its body piece by piece and limits it itself.
    """

    def __init__(self, app: ASGIApp, other_limits: Mapping[str, int | None]) -> None:
        self._app = app
        self._other_limits = other_limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a body that announces too much at once; stop one that sends too much."""
        limit = self._other_limits.get(scope["path"], BODY_BYTES) if scope["type"] == "http" else None
        if limit is None:
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        if announced is None:
            await self._app(scope, _counted(receive, limit), send)
        elif int(announced) > limit:
            await response_to(_too_large(limit, int(announced)), scope.get("cause"))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _counted(receive: Receive, limit: int) -> Receive:
    received = 0

    async def receive_counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise _too_large(limit)
        return message

    return receive_counted


def _too_large(limit: int, announced: int | None = None) -> ProblemError:
    expected = f"at most {limit} bytes" + (f", not {announced}" if announced else "")
    return ProblemError(413, "too-large", "The body is too large.", errors=[{"pointer": "", "detail": expected}])
