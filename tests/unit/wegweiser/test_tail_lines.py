"""What `wegweiser tail` prints of a record; a foreign writer's words are never repeated."""

import re
from datetime import date

import pytest
from toy.records import NOW, ROUTING, Written, a_record

from shared.contracts.base import new_id
from shared.contracts.routing import AgreementEnding
from shared.envelope import Cause, headers_of
from shared.pipeline.outbox import row_of
from wegweiser.live import EVERY_TOPIC
from wegweiser.tail import line_of
from wegweiser.wording import sentence

NAME = "Olena-Kovalenko"
TOPIC = "partner.toy.referrals.v1"


def the_line(written: Written) -> str:
    return line_of(a_record(written, topic=TOPIC)).plain


def test_an_event_is_told_with_its_time_its_subject_and_its_topic() -> None:
    case_id = new_id()

    assert the_line(Written(case_id)) == f"09:00:00.000  {case_id}  {TOPIC:<38}  toy takes german course"


def test_an_alert_is_told_though_its_key_is_no_id() -> None:
    ending = AgreementEnding(agreement="2024-01-01", valid_to=date(2026, 12, 31), days_left=30)
    row = row_of(ending, Cause.begin(), 0, None, 1, NOW)
    written = Written()
    written.key, written.value, written.headers = b"2024-01-01", row["data"].encode(), list(headers_of(row, ROUTING))

    line = line_of(a_record(written, topic=row["topic"])).plain

    assert line == f"09:00:00.000  {'-' * 36}  {'routing.alerts.v1':<38}  {sentence(ending)}"
    assert re.match(EVERY_TOPIC, row["topic"])


def broken() -> dict[str, Written]:
    """Records that other writers leave, each with a name where it could slip through."""
    records = {what: Written() for what in ("empty", "key", "json", "schema", "type", "id", "header")}
    records["empty"].value = None
    records["key"].key = NAME.encode()
    records["json"].value = f"{{{NAME}".encode()
    records["schema"].value = f'{{"case_id": "{NAME}"}}'.encode()
    records["type"].with_header("ce_type", NAME.encode())
    records["id"].with_header("ce_id", f"\x1b[31m{NAME}".encode())
    records["header"].with_header(f"{NAME}\udcff", b"")
    return records


@pytest.mark.parametrize("what", broken())
def test_a_broken_record_is_one_line_without_its_words(what: str) -> None:
    line = the_line(broken()[what])

    assert line.isprintable()
    assert NAME not in line
    assert TOPIC in line


@pytest.mark.parametrize("what", ["empty", "json", "schema", "type", "id", "header"])
def test_a_broken_record_is_not_told_as_an_event(what: str) -> None:
    assert "takes" not in the_line(broken()[what])
