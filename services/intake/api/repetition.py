"""What recognises a request that came before: marks of its key or reference, with a digest of its body."""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from fastapi import Request
from pydantic import BaseModel

from services.intake.repository import REQUESTS
from shared.pipeline.decisions import Mark, Repeated
from shared.web.problems import ProblemError, parameter_not_valid
from shared.web.roles import caller_of

_KEY: Final = re.compile(r"^[\x21-\x7e]{1,200}$")
KEY_HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Within 24 hours the same key and body get the same answer.",
    "schema": {"type": "string", "pattern": _KEY.pattern},
}


def key_of(request: Request) -> str | None:
    """The idempotency key of a request, which is its caller's own; raises a problem where it is none."""
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.fullmatch(key):
        raise parameter_not_valid("Idempotency-Key", f"a text like {_KEY.pattern}")
    if key is None:
        return None
    caller = caller_of(request)
    return digest(caller.organisation or "", caller.subject, key)


def digest(*parts: str) -> str:
    """SHA-256."""
    return sha256("\n".join(parts).encode()).hexdigest()


def digest_of_body(case_id: str, said: BaseModel) -> str:
    """Of the validated body after the gate, in one spelling; defaults are left out, so that a field which a later
    version adds does not make an old request another one. Salted with the id of the case, so that equal bodies cannot
    be recognised across cases."""
    return digest(case_id, said.model_dump_json(exclude_defaults=True))


def answer_given(repeated: Repeated, marks: Sequence[Mark], body: str) -> Mapping[str, Any]:
    """What the earlier request was answered; raises a problem where its body had another digest than `body`."""
    if repeated.mark["body"] != body:
        raise _used_before(next(mark for mark in marks if mark.id == repeated.mark["_id"]))
    answer: Mapping[str, Any] = repeated.mark["answer"]
    return answer


def _used_before(mark: Mark) -> ProblemError:
    where = {"parameter": "Idempotency-Key"} if mark.collection == REQUESTS else {"pointer": "/source_reference"}
    return ProblemError(
        422,
        "used-before",
        "The same key or reference came before with another body.",
        errors=[{**where, "detail": "one that was not used before, or the same body as before"}],
    )
