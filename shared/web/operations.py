"""What operators and their machines ask every service: is it alive, is it ready, how is it doing."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, PlainTextResponse

from shared.web.problems import MEDIA_TYPE, ProblemError, members_of
from shared.web.roles import Role, open_to
from shared.web.tracing import cause_of

Readiness = Callable[[], Mapping[str, bool]]
"""The checks of a service by name, and whether each one holds now."""

_NOT_READY: Final[dict[int | str, dict[str, Any]]] = {
    503: {
        "description": "Problem details (RFC 9457) with the checks: one does not hold",
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "properties": {"checks": {"type": "object", "additionalProperties": {"type": "boolean"}}},
                }
            }
        },
    }
}


def operations_router(readiness: Readiness) -> APIRouter:
    """`/health/live`, `/health/ready` and `/metrics`."""
    router = APIRouter(tags=["operations"])

    @router.get("/health/live")
    async def is_live() -> Response:
        """The process answers."""
        return JSONResponse({"status": "live"})

    @router.get("/health/ready", responses=_NOT_READY)
    async def is_ready(request: Request) -> Response:
        """The service can do its work now."""
        checks = dict(readiness())
        if all(checks.values()):
            return JSONResponse({"status": "ready", "checks": checks})
        problem = ProblemError(503, "not-ready", "A check does not hold.")
        return JSONResponse(members_of(problem, cause_of(request)) | {"checks": checks}, 503, media_type=MEDIA_TYPE)

    @router.get("/metrics", response_class=PlainTextResponse, dependencies=[open_to(Role.OPERATOR)])
    async def metrics() -> Response:
        """Figures in the text format of Prometheus."""
        return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router
