"""Reading a JSON body once, with pydantic's own parser: no second parse and no copy of it in an error."""

from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from shared.web.faults import faults_of
from shared.web.problems import ProblemError, not_valid

M = TypeVar("M", bound=BaseModel)

JSON: Final = "application/json"


async def read_json(request: Request, model: type[M]) -> M:
    """The body as a `model`; raises a problem (400, 413, 415, 422)."""
    media_type = request.headers.get("content-type")
    if media_type is not None and media_type.partition(";")[0].strip().lower() != JSON:
        raise ProblemError(415, "unsupported-media-type", f"The body is to be {JSON}.", headers={"Accept": JSON})
    return parse_json(await request.body(), model)


def parse_json(body: bytes, model: type[M]) -> M:
    """`body` as a `model`; raises a problem (400, 422)."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _problem_with(body, error) from None


def _problem_with(body: bytes, error: ValidationError) -> ProblemError:
    faults = faults_of(error)
    if len(faults) > 1 or error.errors(include_input=False)[0]["type"] != "json_invalid":
        return not_valid(faults)
    expected = faults[0].expected
    try:
        body.decode()
    except UnicodeDecodeError as undecodable:
        expected = f"UTF-8; the byte at offset {undecodable.start} is not"
    return ProblemError(
        400, "malformed-json", "The body is not JSON in UTF-8.", errors=[{"pointer": "", "detail": expected}]
    )


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says about a body that the endpoint reads itself; a route passes it as `openapi_extra`."""
    return {"requestBody": {"required": True, "content": {JSON: {"schema": inlined(model.model_json_schema())}}}}


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema without references: inside an OpenAPI document they would point somewhere else."""
    own = {key: value for key, value in schema.items() if key not in ("$defs", "$schema", "$id")}
    whole: dict[str, Any] = _inlined(own, schema.get("$defs", {}))
    return whole


def _inlined(schema: Any, shared: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(item, shared) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if reference is not None:
        return _inlined(shared[reference.rpartition("/")[2]], shared)
    return {key: _inlined(value, shared) for key, value in schema.items()}
