"""The catalogue of a partner's events is up to date, and its examples are what they say."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from shared.contracts import CONTRACTS, Contract
from shared.contracts.schemas import schema_of
from wegweiser.catalogue import catalogue, example

EVENTS = Path(__file__).parents[2] / "docs" / "events.md"
OF_PARTNERS = [contract for contract in CONTRACTS if contract.topic.startswith("partner.")]


def test_the_file_is_what_the_contracts_say() -> None:
    assert EVENTS.read_text(encoding="utf-8") == catalogue(), "make schemas"


def test_every_event_of_a_partner_is_in_it_once() -> None:
    assert sorted(re.findall(r"^### `(.*)`$", catalogue(), re.M)) == sorted(contract.type for contract in OF_PARTNERS)


@pytest.mark.parametrize("contract", OF_PARTNERS, ids=lambda contract: contract.type)
def test_an_example_fits_its_schema_and_is_what_travels(contract: Contract) -> None:
    entry = catalogue().partition(f"### `{contract.type}`")[2]
    shown = json.loads(entry.partition("```json\n")[2].partition("\n```")[0])

    Draft202012Validator(schema_of(contract)).validate(shown)
    assert shown == json.loads(example(contract.event).model_dump_json())


@pytest.mark.parametrize(
    "field",
    [
        "`needs` | list of: .*; may be missing |",
        "`concerns` | list of: .*, `sub_topic` \\([^)]*; may be null or missing\\), `person_id` \\(UUID\\)",
        "`state` | .*; may be null or missing |",
        "`respond_by` | day; may be null or missing |",
        "`weeks` | number, .*; may be null or missing |",
    ],
)
def test_what_may_be_null_is_told_so(field: str) -> None:
    assert re.search(rf"^\| {field.replace(' | ', ' [|] ').removesuffix(' |')}", catalogue(), re.M)
