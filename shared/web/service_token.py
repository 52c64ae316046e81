"""The token by which our services know each other at their HTTP doors; a file only its owner may read."""

import hmac
import os
import secrets
from collections.abc import Awaitable, Callable
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Final

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.web.problems import ProblemError

_BEARER: Final = HTTPBearer(
    auto_error=False, scheme_name="serviceToken", description="of `var/service-token`, for our own services only"
)


def read_or_create_token(path: Path) -> str:
    """The token in `path`; made at the first start, by whichever service comes first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(secrets.token_urlsafe(32))
    try:
        os.link(draft, path)  # all of it or nothing, and never over another's
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text().strip()


def service_token_required(token_file: Path) -> Callable[[HTTPAuthorizationCredentials | None], Awaitable[None]]:
    """A FastAPI dependency that lets only our own services in; it looks into `token_file` at the first request."""
    token = cache(partial(read_or_create_token, token_file))

    async def require(given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode(), token().encode()):
            raise ProblemError(
                401, "service-token-needed", "Only our own services may ask.", headers={"WWW-Authenticate": "Bearer"}
            )

    return require
