"""Who may do what at a door: the roles, the caller, and how a route says to whom it is open."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any, Final, Protocol

from fastapi import Depends, FastAPI, Request, Security
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security.http import HTTPBase

from shared.web.problems import ProblemError
from shared.web.queries import require_known_parameters

SCHEME: Final = "signIn"
OPEN: Final = frozenset({"/health/live", "/health/ready", "/docs", "/docs/static"})
"""What nobody signs in for: two words for who watches the process, and an empty page that asks for a token itself."""


class Role(StrEnum):
    """What a caller is to the office."""

    SOCIAL_WORKER = "social_worker"
    FRONT_DESK = "front_desk"
    PARTNER = "partner"
    OPERATOR = "operator"
    COORDINATOR = "coordinator"
    DATA_PROTECTION = "data_protection"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. A partner has its `partner_id`, a social worker the `organisation` whose staff they are.

    At a route `roles` are those that opened it, so that no other one widens what is seen there.
    """

    subject: str
    roles: frozenset[Role]
    partner_id: str | None = None
    organisation: str | None = None


class SignsIn(Protocol):
    """Knows callers by their tokens."""

    async def caller(self, authorization: str | None) -> Caller:
        """Whose `Authorization` header this is; raises a problem (401, 503)."""
        ...


class _Gate(HTTPBase):
    """Lets in whoever has one of the roles."""

    def __init__(self, roles: frozenset[Role]) -> None:
        super().__init__(
            scheme="bearer",
            scheme_name=SCHEME,
            description="Access token of the OpenID Connect issuer; one of the roles is enough.",
        )
        self.roles = roles

    async def __call__(self, request: Request) -> None:  # type: ignore[override]  # what it finds out is in the scope
        """Raise a problem (401, 403, 503), or, of whoever may come in, about the query (422)."""
        sign_in: SignsIn = request.app.state.sign_in
        caller = await sign_in.caller(request.headers.get("authorization"))
        roles = caller.roles & self.roles
        if not roles:
            raise ProblemError(
                403,
                "not-allowed",
                f"Open to: {', '.join(sorted(self.roles))}.",
                headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
            )
        require_known_parameters(request)
        request.scope["caller"] = replace(caller, roles=roles)


def open_to(*roles: Role) -> Any:
    """A dependency of a route or router, which opens it to these roles and to nobody else."""
    return Security(_Gate(frozenset(roles)), scopes=sorted(roles))


def caller_of(request: Request) -> Caller:
    """Who asks; usable as a FastAPI dependency of a route that is open to roles."""
    caller: Caller = request.scope["caller"]
    return caller


CallerOf = Annotated[Caller, Depends(caller_of)]


def access_table(app: FastAPI) -> dict[str, frozenset[Role] | None]:
    """Every route of an application as "METHOD path", and to which roles it is open; None where it does not say so
    exactly once."""
    return dict(_rows(app))


def require_roles(app: FastAPI) -> None:
    """Raise `RuntimeError` where a route names no roles and is none of those open to anybody."""
    bare = [route for route, roles in access_table(app).items() if not roles and route.partition(" ")[2] not in OPEN]
    if bare:
        raise RuntimeError(f"nobody said who may: {', '.join(bare)}")


def with_alternatives(document: dict[str, Any]) -> dict[str, Any]:
    """The same OpenAPI document, changed so that one of several roles is enough: FastAPI lists them as if all were."""
    for operation in (operation for methods in document["paths"].values() for operation in methods.values()):
        if "security" in operation:
            roles = [role for requirement in operation["security"] for role in requirement[SCHEME]]
            operation["security"] = [{SCHEME: [role]} for role in roles]
    return document


def _rows(app: FastAPI) -> Iterator[tuple[str, frozenset[Role] | None]]:
    for route in iter_route_contexts(app.routes):
        dependencies = route.dependant.dependencies if isinstance(route.original_route, APIRoute) else ()
        gates = [inner.call.roles for inner in dependencies if isinstance(inner.call, _Gate)]
        yield f"{'|'.join(sorted(route.methods or '*'))} {route.path}", gates[0] if len(gates) == 1 else None
