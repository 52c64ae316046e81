"""What a query may hold: a parameter that a route would pass over is refused, or it would answer another question."""

from typing import Any, get_args, get_origin

from fastapi import Request

from shared.web.faults import LONGEST_NAME
from shared.web.problems import ProblemError


def require_known_parameters(request: Request) -> None:
    """Refuse parameters that the route does not have, and a second value of one that takes one; raises a problem.

    The framework's own query models refuse the first only, and do not say what there is.
    """
    taken = {field.alias: field.field_info.annotation for field in request.scope["route"].dependant.query_params}
    there_are = f"one of {', '.join(taken)}" if taken else "no parameter: there are none here"
    errors = [
        {"parameter": name[:LONGEST_NAME], "detail": "only once" if name in taken else there_are}
        for name in request.query_params
        if name not in taken or (len(request.query_params.getlist(name)) > 1 and not _is_list(taken[name]))
    ]
    if errors:
        raise ProblemError(422, "not-valid", "The query has a parameter too many.", errors=errors)


def _is_list(annotation: Any) -> bool:
    return any(get_origin(kind) is list for kind in (annotation, *get_args(annotation)))
