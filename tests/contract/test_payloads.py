"""What travels follows the published schemas and comes out of its record as it went in."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from contract_samples import samples_of
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from shared.contracts import BY_TYPE, CONTRACTS, Contract
from shared.contracts.schemas import file_of
from shared.envelope import Cause, headers_of, source_of, unwrap
from shared.pipeline.outbox import row_of

NOW: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
FORMATS: Final = FormatChecker(["date"])
HEADERS: Final = {
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_subject",
    "ce_time",
    "ce_dataschema",
    "content-type",
    "ce_sequence",
    "ce_correlationid",
    "ce_causationid",
    "ce_traceparent",
}
OURS: Final = [contract for contract in CONTRACTS if contract.publisher != "partner"]

few = settings(max_examples=20)  # machines are busy


@FORMATS.checks("date-time", raises=ValueError)
def _is_instant(value: object) -> bool:
    return datetime.fromisoformat(str(value)).tzinfo is not None


def _type_of(contract: Contract) -> str:
    return contract.type


@pytest.mark.parametrize("contract", CONTRACTS, ids=_type_of)
@few
@given(data=st.data())
def test_a_payload_follows_its_published_schema_whole_and_without_what_may_be_missing(
    contract: Contract, data: st.DataObject
) -> None:
    event = data.draw(samples_of(contract.event))
    schema = json.loads(file_of(contract).read_text(encoding="utf-8"))

    for payload in (event.model_dump_json(), event.model_dump_json(exclude_defaults=True)):
        Draft202012Validator(schema, format_checker=FORMATS).validate(json.loads(payload))
        assert contract.event.model_validate_json(payload) == event


@pytest.mark.parametrize("contract", OURS, ids=_type_of)
@few
@given(data=st.data(), sequence=st.integers(1, 10**9))
def test_an_event_comes_out_of_its_record_as_it_went_in(contract: Contract, data: st.DataObject, sequence: int) -> None:
    event = data.draw(samples_of(contract.event))
    cause = Cause.begin()
    row: dict[str, Any] = row_of(event, cause, 0, None, sequence, NOW)

    headers = headers_of(row, source_of("routing"))
    envelope = unwrap(row["topic"], headers, row["data"].encode())

    assert sorted(name for name, _ in headers) == sorted(HEADERS)
    written = {name: value.decode() for name, value in headers}
    assert written["ce_subject"] == contract.subject_of(event)
    assert written["ce_time"] == "2026-11-23T09:00:00.000Z"
    assert written["ce_dataschema"] == contract.schema
    assert written["ce_causationid"] == cause.id
    assert (envelope.source, envelope.type) == (source_of("routing"), contract.type)
    assert envelope.sequence == (0 if contract.apart else sequence)
    assert envelope.cause.id == envelope.id == row["_id"]
    assert envelope.cause.correlation_id == cause.correlation_id
    assert envelope.cause.traceparent[:36] == cause.traceparent[:36]
    assert BY_TYPE[envelope.type].event.model_validate_json(envelope.data) == event
