"""The JSON Schemas of the contracts: what `ce_dataschema` names, and what partners check their own code against.

The files beside this module are what has been published. They are made here, never by hand, and only ever replaced by
what is compatible with them. A schema says what a record may look like, so a property with a default may be missing:
records from before it was added stay valid.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from shared.contracts import CONTRACTS, Contract
from shared.contracts.compatibility import breaks

SCHEMAS: Final = Path(__file__).parent / "schemas"


class BreakingChangeError(Exception):
    """The contracts as they are now break with what was published; `points` names each point in one line."""

    def __init__(self, points: Sequence[str]) -> None:
        super().__init__("\n".join(points))
        self.points = points


class ContractSchema(GenerateJsonSchema):
    """Without the titles pydantic gives to properties: they only repeat the names."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Never."""
        return False


def schema_of(contract: Contract) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a contract's payload; the `x-` keywords say where it travels and by which key,
    so that moving it counts as the break that it is."""
    payload = contract.event.model_json_schema(schema_generator=ContractSchema)
    place = {"x-topic": contract.topic, "x-key": contract.subject}
    return {"$schema": ContractSchema.schema_dialect, "$id": contract.schema, **place, **payload}


def file_of(contract: Contract, directory: Path = SCHEMAS) -> Path:
    """Where the schema of a contract is published."""
    return directory / f"{contract.type}.json"


def text_of(contract: Contract) -> str:
    """The schema as it stands in its file."""
    return json.dumps(schema_of(contract), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def breaking_points(contracts: Iterable[Contract] = CONTRACTS, directory: Path = SCHEMAS) -> list[str]:
    """Each point in which the contracts break with the schemas published in `directory`, one line each."""
    published = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in directory.glob("*.json")}
    current = {contract.type: schema_of(contract) for contract in contracts}
    return [
        f"{type_}: {point}"
        for type_, schema in sorted(published.items())
        for point in (breaks(schema, current[type_]) if type_ in current else ["is published no more"])
    ]


def publish(contracts: Iterable[Contract] = CONTRACTS, directory: Path = SCHEMAS) -> list[str]:
    """Write what is new or changed and return its types; raises `BreakingChangeError` before anything is written."""
    contracts = tuple(contracts)
    if points := breaking_points(contracts, directory):
        raise BreakingChangeError(points)
    written = []
    for contract in contracts:
        file, text = file_of(contract, directory), text_of(contract)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            written.append(contract.type)
    return written
