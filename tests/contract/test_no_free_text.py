"""No contract can carry a name: every value is an id, a code, a bounded number or a time."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import AwareDatetime, BaseModel, Field

from shared.contracts import CONTRACTS, Event, base
from shared.contracts.base import CaseId, Facts, Minutes

CODED_TEXTS: Final = [
    named for named in vars(base).values() if get_origin(named) is Annotated and get_args(named)[0] is str
]
"""The pattern types that base names; a pattern of a contract's own would be one nobody looked at."""

PERSONAL: Final = ("Maria Müller", "Müller", "maria.mueller@example.org", "+49 6192 2010", "Fragt nach Asyl.", "")


def free_text_in(model: type[BaseModel], path: str = "") -> list[str]:
    """The places in a model, and all models inside, where text or a number of any length could stand."""
    hints = get_type_hints(model, include_extras=True)
    return [place for name in model.model_fields for place in _free(hints[name], f"{path}{model.__name__}.{name}")]


def _free(annotation: Any, place: str) -> Iterator[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in CODED_TEXTS or annotation in (bool, date, datetime, AwareDatetime, NoneType):
        return
    if origin is Annotated and arguments[0] is int:
        limits = [limit for part in arguments[1:] for limit in getattr(part, "metadata", [part])]
        if not (any(hasattr(limit, "ge") for limit in limits) and any(hasattr(limit, "le") for limit in limits)):
            yield place
    elif origin is Annotated:
        yield from _free(arguments[0], place)
    elif origin in (tuple, frozenset, Union, UnionType):
        for argument in arguments:
            if argument is not Ellipsis:
                yield from _free(argument, place)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from free_text_in(annotation, f"{place} > ")
    elif not (isinstance(annotation, type) and issubclass(annotation, Enum)):
        yield place


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.type)
def test_a_contract_has_no_free_text(contract: base.Contract) -> None:
    assert free_text_in(contract.event) == []


@pytest.mark.parametrize("pattern", [get_args(named)[1].pattern for named in CODED_TEXTS])
@pytest.mark.parametrize("text", PERSONAL)
def test_no_pattern_lets_a_name_or_a_contact_pass(pattern: str, text: str) -> None:
    assert not re.search(pattern, text)


def test_the_key_of_every_contract_is_an_id() -> None:
    for contract in CONTRACTS:
        hints = get_type_hints(contract.event, include_extras=True)

        assert hints[contract.subject] in (base.Id, base.PartnerId, base.AgreementVersion), contract.type


class Inner(Facts):
    remark: str
    minutes: Minutes


class Leaky(Event):
    case_id: CaseId
    name: str
    own_pattern: Annotated[str, Field(pattern="^.*$")]
    aliases: tuple[str, ...] = ()
    nickname: str | None = None
    number: int
    half_bounded: Annotated[int, Field(ge=0)]
    anything: Any
    table: dict[CaseId, CaseId]
    weight: float
    inner: Annotated[tuple[Inner, ...], Field(max_length=3)]


def test_every_way_to_carry_free_text_is_seen() -> None:
    """The proof that the test above can fail."""
    assert free_text_in(Leaky) == [
        "Leaky.name",
        "Leaky.own_pattern",
        "Leaky.aliases",
        "Leaky.nickname",
        "Leaky.number",
        "Leaky.half_bounded",
        "Leaky.anything",
        "Leaky.table",
        "Leaky.weight",
        "Leaky.inner > Inner.remark",
    ]
