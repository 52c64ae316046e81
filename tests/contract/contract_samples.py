"""Samples of any contract, made from its annotations and not from its schema, so that the one can check the other."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


def samples_of(model: type[M]) -> st.SearchStrategy[M]:
    """Any instance of the model; what has a default is left out now and then. A combination of values that the model
    refuses as a whole is drawn anew."""
    hints = get_type_hints(model, include_extras=True)
    fields = {name: _values_of(hints[name]) for name in model.model_fields}
    required = {name: values for name, values in fields.items() if model.model_fields[name].is_required()}
    optional = {name: values for name, values in fields.items() if name not in required}

    def instance(values: dict[str, Any]) -> M | None:
        try:
            return model(**values)
        except ValidationError as refusal:
            if any(error["loc"] for error in refusal.errors()):
                raise
            return None

    return st.fixed_dictionaries(required, optional=optional).map(instance).filter(bool)


def _values_of(annotation: Any, limits: Sequence[Any] = ()) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values_of(arguments[0], arguments[1:])
    limit = _merged(limits)
    if origin in (Union, UnionType):
        return st.one_of(*map(_values_of, arguments))
    if origin is tuple:
        least, most = limit.get("min_length", 0), limit.get("max_length", 3)
        return st.lists(_values_of(arguments[0]), min_size=least, max_size=min(most, least + 3)).map(tuple)
    if annotation is str:
        return st.from_regex(limit["pattern"], fullmatch=True)
    if annotation is int:
        return st.integers(limit["ge"], limit["le"])
    if annotation is AwareDatetime:
        return st.datetimes(timezones=st.just(UTC))
    if issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    if issubclass(annotation, BaseModel):
        return samples_of(annotation)
    plain = {bool: st.booleans(), date: st.dates(), NoneType: st.none()}
    return plain[annotation]


def _merged(limits: Sequence[Any]) -> dict[str, Any]:
    """What `Field(…)`, `StringConstraints(…)` and the like ask for, in one mapping."""
    single = [part for limit in limits for part in getattr(limit, "metadata", [limit])]
    return {name: value for part in single for name, value in asdict(part).items() if value is not None}
