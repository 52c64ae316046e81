"""One log line a request, and the last resort for what no route foresaw."""

import time
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.web.problems import ProblemError, response_to

log = structlog.get_logger()

_ASKED_EVERY_FEW_SECONDS: Final = ("/health/", "/metrics")
_NOT_READY_YET: Final = ("/health/ready", 503)
_GONE: Final = 499


class Access:
    """Logs method, route and status of each request; never the path or the query, which may hold anything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request; an error that nobody handled is answered with 500 and logged by its frames."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except ClientDisconnect:
            status = _GONE
        except Exception:
            log.exception("request_failed", route=_route(scope))
            if status:
                raise  # half an answer is out: the server closes the connection, so that nobody takes it for whole
            await response_to(_failed(), scope.get("cause"))(scope, receive, send_noting)
        if not _is_routine(scope["path"], status):
            log.info(
                "request_answered",
                method=scope["method"],
                route=_route(scope),
                status=status,
                milliseconds=round((time.perf_counter() - began) * 1000, 1),
            )


def _is_routine(path: str, status: int) -> bool:
    """A supervisor waiting for a service asks as often as one that watches it."""
    return path.startswith(_ASKED_EVERY_FEW_SECONDS) and (status < 400 or (path, status) == _NOT_READY_YET)


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unknown")


def _failed() -> ProblemError:
    return ProblemError(500, "failed", "An error of ours; the operators find it by the correlation id.")
