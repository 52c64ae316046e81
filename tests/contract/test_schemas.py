"""The published schemas are those of the contracts, and only what harms nobody replaces them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import pytest
import typer
from jsonschema import Draft202012Validator
from pydantic import Field
from typer.testing import CliRunner

from shared.contracts import CONTRACTS, Contract
from shared.contracts.base import CaseId, Event
from shared.contracts.codes import Urgency
from shared.contracts.schemas import (
    SCHEMAS,
    BreakingChangeError,
    breaking_points,
    file_of,
    publish,
    schema_of,
    text_of,
)
from wegweiser import contracts as command


class Before(Event):
    """A case in a test."""

    case_id: CaseId


class Grown(Before):
    """A case in a test."""

    urgency: Urgency = Urgency.NORMAL


class Broken(Before):
    """A case in a test."""

    urgency: Urgency
    number: Annotated[int, Field(ge=0, le=9)]


TYPE: Final = "de.integrationsbuero.test.published.v1"
BEFORE: Final = Contract(Before, TYPE, "test.v1", "case_id", "intake")
GROWN: Final = replace(BEFORE, event=Grown)
BROKEN: Final = replace(BEFORE, event=Broken)
OTHER: Final = replace(BEFORE, type="de.integrationsbuero.test.other.v1")


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.type)
def test_the_published_schema_is_the_contracts(contract: Contract) -> None:
    assert file_of(contract).read_text(encoding="utf-8") == text_of(contract), "run `wegweiser schemas`"


def test_the_contracts_break_with_nothing_published() -> None:
    assert breaking_points() == []


def test_every_published_schema_has_a_contract() -> None:
    assert {file.stem for file in SCHEMAS.iterdir()} == {contract.type for contract in CONTRACTS}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.type)
def test_a_schema_is_valid_and_says_what_it_is_of(contract: Contract) -> None:
    schema = schema_of(contract)

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:integrationsbuero:schema:{contract.type}"
    assert schema["title"] == contract.event.__name__
    assert schema["description"]


def test_a_new_contract_is_published(tmp_path: Path) -> None:
    assert publish([BEFORE], tmp_path) == [TYPE]

    text = (tmp_path / f"{TYPE}.json").read_text(encoding="utf-8")
    assert text == json.dumps(schema_of(BEFORE), indent=2, sort_keys=True) + "\n"


def test_an_unchanged_contract_is_left_alone(tmp_path: Path) -> None:
    publish([BEFORE], tmp_path)
    before = file_of(BEFORE, tmp_path).stat().st_mtime_ns

    assert publish([BEFORE, OTHER], tmp_path) == [OTHER.type]
    assert file_of(BEFORE, tmp_path).stat().st_mtime_ns == before


def test_a_compatible_change_replaces_the_schema(tmp_path: Path) -> None:
    publish([BEFORE], tmp_path)

    assert publish([GROWN], tmp_path) == [TYPE]
    assert file_of(GROWN, tmp_path).read_text(encoding="utf-8") == text_of(GROWN)


def test_a_breaking_change_is_refused_point_by_point_and_nothing_is_written(tmp_path: Path) -> None:
    publish([BEFORE], tmp_path)

    with pytest.raises(BreakingChangeError) as refusal:
        publish([OTHER, BROKEN], tmp_path)

    assert refusal.value.points == [
        f"{TYPE}: number: is new and may not be missing: records on the bus break that",
        f"{TYPE}: urgency: is new and may not be missing: records on the bus break that",
    ]
    assert [file.stem for file in tmp_path.iterdir()] == [TYPE]
    assert file_of(BEFORE, tmp_path).read_text(encoding="utf-8") == text_of(BEFORE)


def test_a_contract_does_not_vanish_unnoticed(tmp_path: Path) -> None:
    publish([BEFORE, OTHER], tmp_path)

    with pytest.raises(BreakingChangeError) as refusal:
        publish([BEFORE], tmp_path)

    assert refusal.value.points == [f"{OTHER.type}: is published no more"]


def test_the_command_names_what_breaks_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> list[str]:
        raise BreakingChangeError([f"{TYPE}: urgency: is gone: readers do not expect that"])

    monkeypatch.setattr(command, "publish", refuse)
    app = typer.Typer()
    app.command()(command.schemas)

    result = CliRunner().invoke(app, [])

    assert result.exit_code == 1
    assert f"{TYPE}: urgency: is gone" in result.stderr
