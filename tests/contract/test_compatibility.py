"""Each kind of change to a published contract, and whether it breaks readers or the records on the bus."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from shared.contracts.compatibility import breaks
from shared.contracts.schemas import ContractSchema


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Fewer(StrEnum):
    RED = "red"


class Point(BaseModel):
    x: Annotated[int, Field(ge=0, le=9)]
    colour: Colour


class PointWithFewer(BaseModel):
    x: Annotated[int, Field(ge=0, le=9)]
    colour: Fewer


class ClosedPoint(Point):
    model_config = ConfigDict(extra="forbid")


def schema(**fields: Any) -> dict[str, Any]:
    """The schema of a model with these fields, each `(type, default)` or only a type."""
    definitions = {name: field if isinstance(field, tuple) else (field, ...) for name, field in fields.items()}
    return create_model("Payload", **definitions).model_json_schema(schema_generator=ContractSchema)


def limited(kind: Any, **limits: Any) -> Any:
    return Annotated[kind, Field(**limits)]


READERS = "readers do not expect that"
RECORDS = "records on the bus break that"

ONE_WAY = [
    # a change, whom it breaks, and whom the way back breaks
    pytest.param(
        schema(a=int),
        schema(a=int, b=int),
        f"b: is new and may not be missing: {RECORDS}",
        f"b: is gone: {READERS}",
        id="required property",
    ),
    pytest.param(
        schema(a=int),
        schema(a=(int, 1)),
        f"a: may now be missing: {READERS}",
        f"a: may no longer be missing: {RECORDS}",
        id="made optional",
    ),
    pytest.param(
        schema(a=Fewer),
        schema(a=Colour),
        f"a: may now be 'green': {READERS}",
        f"a: may no longer be 'green': {RECORDS}",
        id="enumeration",
    ),
    pytest.param(
        schema(a=int),
        schema(a=int | None),
        f"a: may now be null: {READERS}",
        f"a: may no longer be null: {RECORDS}",
        id="null",
    ),
    pytest.param(
        schema(a=limited(int, ge=1)),
        schema(a=limited(int, ge=0)),
        f"a: minimum was 1 and is 0: {READERS}",
        f"a: minimum was 0 and is 1: {RECORDS}",
        id="lower bound",
    ),
    pytest.param(
        schema(a=limited(int, le=9)),
        schema(a=limited(int, le=10)),
        f"a: maximum was 9 and is 10: {READERS}",
        f"a: maximum was 10 and is 9: {RECORDS}",
        id="upper bound",
    ),
    pytest.param(
        schema(a=limited(int, le=9)),
        schema(a=int),
        f"a: maximum was 9 and is not limited: {READERS}",
        f"a: maximum was not limited and is 9: {RECORDS}",
        id="bound removed",
    ),
    pytest.param(
        schema(a=limited(str, min_length=2)),
        schema(a=limited(str, min_length=1)),
        f"a: minLength was 2 and is 1: {READERS}",
        f"a: minLength was 1 and is 2: {RECORDS}",
        id="length of a text",
    ),
    pytest.param(
        schema(a=limited(tuple[int, ...], max_length=8)),
        schema(a=limited(tuple[int, ...], max_length=9)),
        f"a: maxItems was 8 and is 9: {READERS}",
        f"a: maxItems was 9 and is 8: {RECORDS}",
        id="length of a list",
    ),
    pytest.param(
        schema(a=limited(str, pattern="^a$")),
        schema(a=str),
        f"a: pattern was '^a$' and is not limited: {READERS}",
        f"a: pattern was not limited and is '^a$': {RECORDS}",
        id="pattern removed",
    ),
    pytest.param(
        schema(a=Fewer),
        schema(a=str),
        f"a: enum was ['red'] and is not limited: {READERS}",
        f"a: enum was not limited and is ['red']: {RECORDS}",
        id="text for an enumeration",
    ),
    pytest.param(
        schema(a=frozenset[int]),
        schema(a=tuple[int, ...]),
        f"a: uniqueItems was True and is not limited: {READERS}",
        f"a: uniqueItems was not limited and is True: {RECORDS}",
        id="a list for a set",
    ),
    pytest.param(
        schema(a=tuple[PointWithFewer, ...]),
        schema(a=tuple[Point, ...]),
        f"a[].colour: may now be 'green': {READERS}",
        f"a[].colour: may no longer be 'green': {RECORDS}",
        id="inside a list",
    ),
    pytest.param(
        schema(a=(PointWithFewer | None, None)),
        schema(a=(Point | None, None)),
        f"a.colour: may now be 'green': {READERS}",
        f"a.colour: may no longer be 'green': {RECORDS}",
        id="inside an alternative",
    ),
    pytest.param(
        schema(a=dict[str, Fewer]),
        schema(a=dict[str, Colour]),
        None,
        None,
        id="where no rule looks",
    ),
    pytest.param(
        schema(a=ClosedPoint),
        schema(a=Point),
        f"a: additionalProperties was False and is not limited: {READERS}",
        f"a: additionalProperties was not limited and is False: {RECORDS}",
        id="closed against more",
    ),
]


@pytest.mark.parametrize(("before", "after", "there", "back"), ONE_WAY)
def test_a_change_is_named_with_whom_it_breaks(
    before: dict[str, Any], after: dict[str, Any], there: str | None, back: str | None
) -> None:
    assert breaks(before, after) == [there] if there else breaks(before, after)
    assert breaks(after, before) == [back] if back else breaks(after, before)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(
            schema(a=int),
            schema(a=str),
            [f"a: may no longer be integer: {RECORDS}", f"a: may now be string: {READERS}"],
            id="type",
        ),
        pytest.param(
            schema(a=date),
            schema(a=datetime),
            [f"a: format was 'date' and is 'date-time': {who}" for who in (READERS, RECORDS)],
            id="format",
        ),
        pytest.param(
            schema(a=limited(str, pattern="^a$")),
            schema(a=limited(str, pattern="^b$")),
            [f"a: pattern was '^a$' and is '^b$': {who}" for who in (READERS, RECORDS)],
            id="pattern",
        ),
        pytest.param(
            schema(a=(int, 1)),
            schema(a=(int, 2)),
            [f"a: means something else where it is missing: {RECORDS}"],
            id="default",
        ),
        pytest.param(
            schema(a=int, b=(int | None, None)),
            schema(a=int),
            [f"b: is gone: {READERS}"],
            id="optional property gone",
        ),
        pytest.param(
            schema(a=int),
            schema(b=int),
            [f"a: is gone: {READERS}", f"b: is new and may not be missing: {RECORDS}"],
            id="renamed",
        ),
    ],
)
def test_a_change_that_breaks_both_ways_is_named_in_full(
    before: dict[str, Any], after: dict[str, Any], expected: list[str]
) -> None:
    assert breaks(before, after) == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(schema(a=int), schema(a=int), id="nothing"),
        pytest.param(schema(a=int), schema(a=int, b=(int, 1)), id="optional property"),
        pytest.param(schema(a=int), schema(a=int, b=(Point | None, None)), id="optional group"),
        pytest.param(schema(a=int), schema(a=limited(int, description="Years.", title="Age")), id="words"),
        pytest.param(schema(title=int, description=Colour), schema(title=int, description=Colour), id="names"),
        pytest.param(schema(a=int, b=int), schema(b=int, a=int), id="order"),
        pytest.param(schema(a=Point), schema(a=Point) | {"$id": "x", "$schema": "y"}, id="identity"),
        pytest.param(
            {"properties": {"a": {"type": "string", "const": "red"}}},
            {"properties": {"a": {"type": "string", "enum": ["red"]}}},
            id="const",
        ),
        pytest.param(schema(a=Point), schema(a=create_model("Spot", __base__=Point)), id="name of a group"),
    ],
)
def test_what_harms_nobody_breaks_nothing(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert breaks(before, after) == []


def test_a_property_named_like_a_keyword_is_compared() -> None:
    assert breaks(schema(title=Colour), schema(title=Fewer)) == [f"title: may no longer be 'green': {RECORDS}"]
