"""How large a body may be. Counted while it arrives, since a chunked body does not say."""

from collections.abc import Collection
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.web.problems import ProblemError, response_to

BODY_BYTES: Final = 256 * 1024
"""A household of thirty with long notes is well below."""


class BodyLimit:
    """Refuses bodies above `BODY_BYTES`; the paths in `streamed` read theirs piece by piece and limit it themselves."""

    def __init__(self, app: ASGIApp, streamed: Collection[str] = ()) -> None:
        self._app = app
        self._streamed = frozenset(streamed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a body that announces too much at once; stop one that sends too much."""
        if scope["type"] != "http" or scope["path"] in self._streamed:
            await self._app(scope, receive, send)
            return
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        if announced is None:
            await self._app(scope, _counted(receive), send)
        elif int(announced) > BODY_BYTES:
            await response_to(_too_large(), scope.get("cause"))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _counted(receive: Receive) -> Receive:
    received = 0

    async def receive_counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > BODY_BYTES:
            raise _too_large()
        return message

    return receive_counted


def _too_large() -> ProblemError:
    expected = f"at most {BODY_BYTES} bytes"
    return ProblemError(413, "too-large", "The body is too large.", errors=[{"pointer": "", "detail": expected}])
