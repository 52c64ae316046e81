"""One call that gives a FastAPI application everything every door has."""

from collections.abc import Mapping

from fastapi import FastAPI

from shared.web.access import Access
from shared.web.limits import BodyLimit
from shared.web.operations import Readiness, operations_router
from shared.web.problems import handle_problems
from shared.web.roles import SignsIn
from shared.web.tracing import Tracing


def equip(
    app: FastAPI, readiness: Readiness, sign_in: SignsIn, *, other_limits: Mapping[str, int | None] | None = None
) -> None:
    """Sign-in, problems, body limit, tracing, access lines, health and metrics. The one added last stands outermost."""
    app.state.sign_in = sign_in
    handle_problems(app)
    app.include_router(operations_router(readiness))
    app.add_middleware(BodyLimit, other_limits=other_limits or {})
    app.add_middleware(Access)
    app.add_middleware(Tracing)
