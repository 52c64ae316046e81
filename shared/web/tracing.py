"""The two threads every request belongs to: a correlation id and a W3C trace, in log lines, events and the answer."""

from typing import Final

import structlog
from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.contracts.base import new_id
from shared.envelope import Cause, is_id, new_traceparent

_CORRELATION: Final = b"x-correlation-id"
_TRACEPARENT: Final = b"traceparent"


class Tracing:
    """Gives every request its `Cause`.

    A correlation id that is no UUID is replaced, because it goes into events and log lines, where free text could
    be a name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request with its cause in `scope`, in the log context and in the answer's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cause = scope["cause"] = _cause(scope["headers"])
        added = [
            (_CORRELATION, cause.correlation_id.encode()),
            (_TRACEPARENT, cause.traceparent.encode()),
        ]

        async def send_traced(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        tokens = structlog.contextvars.bind_contextvars(
            correlation_id=cause.correlation_id, traceparent=cause.traceparent
        )
        try:
            await self._app(scope, receive, send_traced)
        finally:
            structlog.contextvars.reset_contextvars(**tokens)


def cause_of(request: Request) -> Cause:
    """The cause of what this request does; usable as a FastAPI dependency."""
    cause: Cause = request.scope["cause"]
    return cause


def _cause(headers: list[tuple[bytes, bytes]]) -> Cause:
    correlation_id = traceparent = None
    for name, value in headers:
        if name == _CORRELATION:
            correlation_id = value.decode("latin-1").lower()
        elif name == _TRACEPARENT:
            traceparent = value.decode("latin-1")
    return Cause(
        id=new_id(),
        correlation_id=correlation_id if correlation_id is not None and is_id(correlation_id) else new_id(),
        traceparent=new_traceparent(traceparent),
    )
