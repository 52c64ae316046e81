"""Problem details for every error of every door (RFC 9457)."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from shared.envelope import Cause
from shared.mongo import LostRaceError, UnavailableError
from shared.web.faults import Fault, as_members, pointer

MEDIA_TYPE: Final = "application/problem+json"
_MOST_ERRORS: Final = 50
_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_RETRY: Final = {"Retry-After": "1"}

PROBLEM_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "Problem details (RFC 9457)",
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status"],
                    "properties": {
                        "type": {"type": "string", "format": "uri"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "instance": {"type": "string", "format": "uri"},
                        "errors": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": {
                                    "pointer": {"type": "string", "format": "json-pointer"},
                                    "parameter": {"type": "string"},
                                    "detail": {"type": "string"},
                                },
                            },
                        },
                    },
                }
            }
        },
    }
}
"""What OpenAPI says about errors; a router passes it as `responses`."""


class ProblemError(HTTPException):
    """A request that is answered with a problem.

    `kind` is the lasting name a client may decide by; `detail` is for its developer; `errors` says which part of the
    request was wrong and what was expected there.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind
        self.errors = errors
        self.members: dict[str, Any] = {}
        """Further members, by which a problem says more than what went wrong (RFC 9457, section 3.2)."""


def not_valid(faults: Sequence[Fault]) -> ProblemError:
    """A body that can be read but breaks the rules."""
    return ProblemError(422, "not-valid", "The body does not follow the rules.", errors=as_members(faults))


def parameter_not_valid(name: str, expected: str) -> ProblemError:
    """A query parameter or header that breaks the rules."""
    return ProblemError(
        422, "not-valid", "A parameter does not follow the rules.", errors=[{"parameter": name, "detail": expected}]
    )


def unavailable() -> ProblemError:
    """The store is away; the same request may succeed later."""
    return ProblemError(503, "unavailable", "Nothing is known to be stored. Send the same again.", headers=_RETRY)


def members_of(problem: ProblemError, cause: Cause | None = None) -> dict[str, Any]:
    """A problem as JSON members; `instance` names the request, as the log lines do."""
    members: dict[str, Any] = {
        "type": f"urn:integrationsbuero:problem:{problem.kind}",
        "title": HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.detail,
    }
    if cause is not None:
        members["instance"] = f"urn:uuid:{cause.correlation_id}"
    if problem.errors:
        members["errors"] = [dict(error) for error in problem.errors[:_MOST_ERRORS]]
    return members | problem.members


def response_to(problem: ProblemError, cause: Cause | None = None) -> Response:
    """A problem as a response."""
    body = json.dumps(members_of(problem, cause), ensure_ascii=False).encode()
    return Response(body, problem.status_code, dict(problem.headers or {}), MEDIA_TYPE)


def handle_problems(app: FastAPI) -> None:
    """Answer what is raised in the routes of `app` with problems."""
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)
    app.add_exception_handler(UnavailableError, _on_store_away)
    app.add_exception_handler(LostRaceError, _on_store_away)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, ProblemError):
        return response_to(error, request.scope.get("cause"))
    phrase = HTTPStatus(error.status_code).phrase
    kind = phrase.lower().replace(" ", "-")
    headers = _allowed(request) if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else error.headers
    return response_to(ProblemError(error.status_code, kind, phrase, headers=headers), request.scope.get("cause"))


def _allowed(request: Request) -> dict[str, str]:
    """Every method of the path: the framework names those of the first route only."""
    asked = {method: {**request.scope, "method": method} for method in _METHODS}
    routes = request.app.routes
    allowed = [m for m, scope in asked.items() if any(route.matches(scope)[0] is Match.FULL for route in routes)]
    return {"Allow": ", ".join(allowed)}


async def _on_invalid_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_parameter_error(item) for item in error.errors()]
    problem = ProblemError(422, "not-valid", "A parameter does not follow the rules.", errors=errors)
    return response_to(problem, request.scope.get("cause"))


def _parameter_error(found: Mapping[str, Any]) -> dict[str, str]:
    place, *path = found["loc"]
    if place == "body":
        return {"pointer": pointer(*path), "detail": found["msg"]}
    return {"parameter": ".".join(map(str, path)), "detail": found["msg"]}


async def _on_store_away(request: Request, _: Exception) -> Response:
    return response_to(unavailable(), request.scope.get("cause"))
