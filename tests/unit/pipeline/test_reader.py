"""What becomes of a record: an effect, nothing, a rejection, or a place among the records set aside."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord
from contract.contract_samples import samples_of
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from toy.records import NOW, ROUTING, Written, a_record, an_event
from toy.service import Names, Tally, reactions, subscription

from shared.contracts import BY_EVENT
from shared.contracts.base import derived_id, new_id
from shared.contracts.codes import RejectionReason
from shared.contracts.intake import CaseOpened
from shared.contracts.partners import ReplyAccepted
from shared.contracts.routing import ReferralAccepted, ReplyRejected
from shared.envelope import rfc3339, source_of, source_of_partner, unwrap
from shared.pipeline.decisions import Command, Decision, Reaction, Received
from shared.pipeline.reading import Reader, Subscription
from shared.pipeline.wire import UNREADABLE

NAMES = Names("toy")
TYPE = BY_EVENT[ReferralAccepted].type
NEARLY_A_MEBIBYTE = 1024 * 1024 - 2000

Change = Callable[[Written], object]


def reader() -> Reader[Tally]:
    return Reader(NAMES.service, reactions(NAMES), subscription(NAMES))


def record_of(written: Written) -> ConsumerRecord:
    return a_record(written, topic=NAMES.incoming, partition=1, offset=42)


def decision_on(record: ConsumerRecord) -> Decision[Tally] | None:
    command = reader().command(record)
    return None if command is None else command.decide(None, NOW)


def reason_for(written: Written) -> str | None:
    """Why it would be set aside; None where it takes effect."""
    decision = decision_on(record_of(written))
    assert decision is not None, "it was ignored"
    return None if decision.aside is None else decision.aside["reason"]


def changed(**values: Any) -> Change:
    """An event whose key or value is another."""

    def change(written: Written) -> None:
        for name, value in values.items():
            setattr(written, name, value)

    return change


def header(name: str, value: bytes | None) -> Change:
    return lambda written: written.with_header(name, value)


def payload(**values: Any) -> Change:
    """An event with these fields in its JSON."""

    def change(written: Written) -> None:
        written.value = json.dumps({**json.loads(written.value or b"{}"), **values}).encode()

    return change


HOSTILE: dict[str, tuple[Change, str]] = {
    "no headers": (changed(headers=[]), "bad_headers"),
    "no key": (changed(key=None), "no_key"),
    "empty key": (changed(key=b""), "no_key"),
    "no value": (changed(value=None), "empty"),
    "empty value": (changed(value=b""), "empty"),
    "null id": (header("ce_id", None), "bad_headers"),
    "binary id": (header("ce_id", b"\xff\xfe\x00"), "bad_headers"),
    "unprintable id": (header("ce_id", b"a\nb"), "bad_headers"),
    "endless id": (header("ce_id", b"a" * 201), "bad_headers"),
    "null type": (header("ce_type", None), "bad_headers"),
    "binary type": (header("ce_type", b"\x80"), "bad_headers"),
    "null source": (header("ce_source", None), "bad_headers"),
    "other version": (header("ce_specversion", b"0.3"), "bad_headers"),
    "negative sequence": (header("ce_sequence", b"-1"), "bad_headers"),
    "sequence in other digits": (header("ce_sequence", "٣".encode()), "bad_headers"),
    "endless sequence": (header("ce_sequence", b"9" * 4000), "bad_headers"),
    "header name that is not UTF-8": (header(b"x-\xff".decode("utf-8", "surrogateescape"), b"1"), "bad_headers"),
    "broken JSON": (changed(value=b'{"case_id": '), "not_json"),
    "bytes": (changed(value=b"\xff\xfe\xfd"), "not_json"),
    "deep JSON": (changed(value=b"[" * 100_000), "not_json"),
    "a list": (changed(value=b"[1, 2]"), "breaks_schema"),
    "null": (changed(value=b"null"), "breaks_schema"),
    "wrong type": (payload(languages=7), "breaks_schema"),
    "unknown code": (payload(codes=["astrology"]), "breaks_schema"),
    "id with a line break": (payload(case_id=new_id() + "\n"), "breaks_schema"),
    "lone surrogate": (changed(value=b'{"case_id": "\\ud800"}'), "not_json"),
    "integer beyond every store": (payload(case_id=10**30), "breaks_schema"),
    "nearly a mebibyte of nothing": (changed(value=b"x" * NEARLY_A_MEBIBYTE), "not_json"),
    "unreadable batch": (changed(headers=[(UNREADABLE, b"crc")], key=None, value=None), "unreadable_batch"),
}

HARMLESS: dict[str, Change] = {
    "foreign headers": header("x-trace-of-somebody", b"\x00\xff"),
    "foreign header without value": header("x-empty", None),
    "null correlation": header("ce_correlationid", None),
    "foreign correlation": header("ce_correlationid", b"Anna Beispiel"),
    "foreign traceparent": header("ce_traceparent", b"00-zz"),
    "no sequence": header("ce_sequence", None),
    "unknown CloudEvents attribute": header("ce_extension", b"more"),
    "unknown field": payload(added_by_a_newer_writer={"deep": [1, 2, 3]}),
    "unknown field of nearly a mebibyte": payload(note="x" * NEARLY_A_MEBIBYTE),
}


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(("change", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_what_cannot_be_read_is_set_aside_with_its_reason(change: Change, reason: str) -> None:
    written = Written()
    change(written)

    assert reason_for(written) == reason


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS)
def test_what_a_reader_need_not_know_does_no_harm(change: Change) -> None:
    written = Written()
    change(written)

    assert reason_for(written) is None


def test_a_record_set_aside_is_named_by_coordinates_and_never_by_content() -> None:
    written = Written().with_header("ce_id", b"\xff")
    written.key = b"Anna Beispiel"

    decision = decision_on(record_of(written))

    assert decision is not None
    [letter] = decision.events
    told = json.loads(letter.model_dump_json())
    assert (told["topic"], told["partition"], told["offset"]) == (NAMES.incoming, 1, 42)
    assert told["reason"] == "bad_headers"
    assert "Anna" not in letter.model_dump_json()


def test_a_type_that_is_not_for_this_service_is_ignored_and_counted() -> None:
    written = Written().with_header("ce_type", b"de.integrationsbuero.case.dreamt.v1")
    before = sample("wegweiser_ignored_total", type="unknown")

    assert decision_on(record_of(written)) is None
    assert sample("wegweiser_ignored_total", type="unknown") == before + 1


def test_fields_of_a_newer_writer_are_counted() -> None:
    written = Written()
    payload(added=1)(written)
    before = sample("wegweiser_unknown_fields_total", type=TYPE)

    decision_on(record_of(Written()))
    assert sample("wegweiser_unknown_fields_total", type=TYPE) == before

    decision_on(record_of(written))
    assert sample("wegweiser_unknown_fields_total", type=TYPE) == before + 1


@given(opened=samples_of(CaseOpened), inside=st.sampled_from(["legal_basis", "concerns"]))
@settings(max_examples=10)
def test_fields_that_a_newer_writer_added_inside_are_ignored_and_counted(opened: CaseOpened, inside: str) -> None:
    document = json.loads(opened.model_dump_json())
    [part, *_] = document[inside] if isinstance(document[inside], list) else [document[inside]]
    part["added"] = 1
    written = Written().with_header("ce_type", BY_EVENT[CaseOpened].type.encode())
    written.value = json.dumps(document).encode()
    seen: list[CaseOpened] = []

    def look(received: Received[CaseOpened], *_: Any) -> Decision[Tally]:
        seen.append(received.event)
        return Decision()

    reacting = Reader(NAMES.service, [Reaction(CaseOpened, look, lambda event: event.case_id)], subscription(NAMES))
    before = sample("wegweiser_unknown_fields_total", type=BY_EVENT[CaseOpened].type)
    command = reacting.command(a_record(written, topic="intake.cases.v1"))
    assert command is not None
    command.decide(None, NOW)

    assert seen == [opened]
    assert sample("wegweiser_unknown_fields_total", type=BY_EVENT[CaseOpened].type) == before + 1


@pytest.mark.parametrize(
    ("topic", "source"),
    [
        ("partner.toy.replies.v1", source_of_partner("toy")),
        ("routing.referrals.v1", ROUTING),
        ("intake.cases.v1", ROUTING),
    ],
)
def test_an_event_on_a_topic_it_does_not_belong_on_is_ignored_and_counted(topic: str, source: str) -> None:
    before = sample("wegweiser_ignored_total", type=TYPE)

    assert reader().command(a_record(Written(source=source), topic=topic)) is None
    assert sample("wegweiser_ignored_total", type=TYPE) == before + 1


def test_our_own_writers_thread_is_taken_over_and_an_outside_writers_is_not() -> None:
    thread = new_id()
    ours, theirs = Written(), reply()
    commands = [
        reader().command(record_of(ours.with_header("ce_correlationid", thread.encode()))),
        rejecting().command(a_record(theirs.with_header("ce_correlationid", thread.encode()), topic=REPLIES)),
    ]

    assert [command.cause.correlation_id for command in commands if command is not None] == [thread, ""]


def test_a_partners_key_holds_up_no_record_of_another_topic() -> None:
    case, theirs, others, ours = new_id(), reply(), reply(source=source_of_partner("vhs")), Written()
    theirs.key = others.key = ours.key = case.encode()
    ours.value = ours.value.replace(ours.case_id.encode(), case.encode()) if ours.value else None
    held = [
        rejecting().command(a_record(theirs, topic=REPLIES)),
        rejecting().command(a_record(others, topic="partner.vhs.replies.v1")),
        reader().command(record_of(ours)),
    ]
    first, second, third = (set(command.subjects) for command in held if command is not None)

    assert case in third
    assert first & second == first & third == second & third == set()


def test_a_key_of_any_length_takes_little_room() -> None:
    theirs = reply()
    theirs.key = b"\xff" * 1_000_000

    command = rejecting().command(a_record(theirs, topic=REPLIES))

    assert command is not None
    assert max(map(len, command.subjects)) < 300


def test_an_event_of_the_service_itself_is_ignored() -> None:
    assert decision_on(record_of(Written(source=source_of(NAMES.service)))) is None


def structured(**attributes: Any) -> ConsumerRecord:
    """The toy's event as one JSON document, as an outside writer may send it."""
    event = an_event()
    document = {
        "specversion": "1.0",
        "id": "reply 1",
        "source": "/partner",
        "type": TYPE,
        "data": json.loads(event.model_dump_json()),
        **attributes,
    }
    written = Written()
    written.headers = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
    written.value = json.dumps(document).encode()
    return record_of(written)


def test_structured_mode_is_read_as_well() -> None:
    decision = decision_on(structured())

    assert decision is not None
    assert decision.state is not None
    assert decision.state.effects == (derived_id(NAMES.incoming, "reply 1"),)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"id": ""}, "bad_headers"),
        ({"id": ["list"]}, "bad_headers"),
        ({"id": "\ud800"}, "bad_headers"),
        ({"specversion": 1}, "bad_headers"),
        ({"data": None}, "breaks_schema"),
        ({"data": "text"}, "breaks_schema"),
        ({"data": {"case_id": 10**30}}, "breaks_schema"),
    ],
)
def test_what_breaks_structured_mode_is_set_aside(attributes: dict[str, Any], reason: str) -> None:
    decision = decision_on(structured(**attributes))

    assert decision is not None
    assert decision.aside is not None
    assert decision.aside["reason"] == reason


@pytest.mark.parametrize("value", [b"{", b"[1]", b"7", b"\xff\xfe", b'{"id": ' + b"9" * 5000 + b"}", b"[" * 100_000])
def test_a_structured_document_that_is_none_is_set_aside(value: bytes) -> None:
    record = structured()
    decision = decision_on(a_record(with_value(record, value), topic=NAMES.incoming))

    assert decision is not None
    assert decision.aside is not None
    assert decision.aside["reason"] in ("not_json", "breaks_schema")


def with_value(record: ConsumerRecord, value: bytes) -> Written:
    written = Written()
    written.headers, written.value = list(record.headers), value
    return written


def test_a_fault_of_the_service_while_reading_sets_the_record_aside() -> None:
    def no_key(_: ReferralAccepted) -> str:
        raise LookupError("a bug of ours")

    [reaction] = reactions(NAMES)
    broken = Reader(NAMES.service, [Reaction(ReferralAccepted, reaction.decide, no_key)], subscription(NAMES))

    command = broken.command(record_of(Written()))

    assert command is not None
    aside = command.decide(None, NOW).aside
    assert aside is not None
    assert aside["reason"] == "handler_failed"


# partners' replies are answered instead


REPLIES = "partner.awo.replies.v1"


def rejecting() -> Reader[Tally]:
    def accept(received: Any, known: Tally | None, now: Any) -> Decision[Tally]:
        return Decision(known or Tally(id=received.event.referral_id))

    def reject(partner: str, partition: int, offset: int, reason: RejectionReason) -> ReplyRejected:
        return ReplyRejected(
            partner_id=partner, rejection_id=new_id(), partition=partition, offset=offset, reason=reason
        )

    reaction = Reaction(ReplyAccepted, accept, lambda event: event.referral_id)
    return Reader("routing", [reaction], Subscription(REPLIES, "replies", reject))


def reply(*, source: str = "/partner/awo", **changes: Any) -> Written:
    written = Written(source=source)
    written.with_header("ce_type", BY_EVENT[ReplyAccepted].type.encode())
    written.value = json.dumps({"referral_id": new_id(), **changes}).encode()
    return written


def answer_to(written: Written) -> Any:
    command: Command[Tally] | None = rejecting().command(a_record(written, topic=REPLIES, partition=2, offset=7))
    assert command is not None
    return command.decide(None, NOW)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (reply(referral_id="nobody"), "invalid"),
        (reply().with_header("ce_id", b"\xff"), "unreadable"),
        (reply(source="/partner/vhs"), "unreadable"),
        (reply(source=source_of("routing")), "unreadable"),
        (reply().with_header("ce_type", b"de.partner.hello.v1"), "unknown_type"),
        (reply().with_header("ce_type", TYPE.encode()), "unknown_type"),
    ],
)
def test_a_bad_reply_is_answered_in_the_partners_own_queue(written: Written, reason: str) -> None:
    decision = answer_to(written)

    [rejected] = decision.events
    assert decision.aside is None
    assert (rejected.partner_id, rejected.partition, rejected.offset, rejected.reason) == ("awo", 2, 7, reason)


def test_a_partner_cannot_take_the_place_of_another_cause_by_its_id() -> None:
    written = reply()
    commands = []
    for name in ("awo", "vhs"):
        written.with_header("ce_source", f"/partner/{name}".encode())
        commands.append(rejecting().command(a_record(written, topic=f"partner.{name}.replies.v1")))

    causes = [command.cause.id for command in commands if command is not None]
    marks = [command.marks for command in commands if command is not None]
    assert len({*causes, written.id}) == 3
    assert marks[0] != marks[1]


CLAIMS: dict[str, tuple[str, datetime | None]] = {
    "UTC": ("2026-11-23T09:00:00Z", NOW),
    "small letters": ("2026-11-23t09:00:00z", NOW),
    "another offset": ("2026-11-23T10:00:00+01:00", NOW),
    "a fraction": ("2026-11-23T09:00:00.5Z", NOW + timedelta(seconds=0.5)),
    "nanoseconds": ("2026-11-23T09:00:00.500000001Z", NOW + timedelta(seconds=0.5)),
    "years ahead": ("2099-12-31T23:59:59Z", datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)),
    "no offset": ("2026-11-23T09:00:00", None),
    "a day": ("2026-11-23", None),
    "a week": ("2026-W48-1T09:00:00Z", None),
    "no such day": ("2026-02-30T09:00:00Z", None),
    "no such offset": ("2026-11-23T09:00:00+99:99", None),
    "other digits": ("٢٠٢٦-11-23T09:00:00Z", None),
    "year 0": ("0000-01-01T00:00:00Z", None),
    "before year 1": ("0001-01-01T00:00:00+14:00", None),
    "after year 9999": ("9999-12-31T23:59:59-01:00", None),
    "a year of five digits": ("10000-01-01T00:00:00Z", None),
    "an endless fraction": ("2026-11-23T09:00:00.5" + "0" * 100_000 + "Z", NOW + timedelta(seconds=0.5)),
    "endless": ("2026-11-23T09:00:00" + "0" * 100_000 + "Z", None),
    "empty": ("", None),
    "words": ("tomorrow at nine", None),
}


def time_of(written: Written, topic: str = REPLIES) -> datetime | None:
    """The time that reaches the decision about a record."""
    seen: list[datetime | None] = []

    def look(received: Received[ReplyAccepted], *_: Any) -> Decision[Tally]:
        seen.append(received.time)
        return Decision()

    reading = Reader("routing", [Reaction(ReplyAccepted, look, lambda event: event.referral_id)], Subscription("", ""))
    command = reading.command(a_record(written, topic=topic))
    assert command is not None
    command.decide(None, NOW)
    [time] = seen
    return time


@pytest.mark.parametrize(("text", "time"), CLAIMS.values(), ids=CLAIMS)
def test_a_reply_carries_the_time_its_sender_claims_and_none_where_that_is_no_time(
    text: str, time: datetime | None
) -> None:
    written = reply().with_header("ce_time", text.encode())
    document = structured_reply(time=text)

    assert (time_of(written), time_of(document)) == (time, time)


@pytest.mark.parametrize("value", [None, 7, True, ["2026-11-23T09:00:00Z"], {}, "\ud800"])
def test_a_claimed_time_of_another_kind_is_none(value: object) -> None:
    assert time_of(structured_reply(time=value)) is None


def test_a_reply_without_a_time_claims_none() -> None:
    written = reply().with_header("ce_time", None)

    assert time_of(written) is None


def test_the_time_of_our_own_services_is_not_looked_at() -> None:
    written = Written().with_header("ce_time", rfc3339(NOW).encode())

    assert unwrap("routing.referrals.v1", written.headers, written.value).time is None


def structured_reply(**attributes: Any) -> Written:
    """A reply as one JSON document."""
    written = reply()
    document = {"specversion": "1.0", "id": "reply 1", "source": "/partner/awo", "type": BY_EVENT[ReplyAccepted].type}
    written.value = json.dumps({**document, "data": json.loads(written.value or b""), **attributes}).encode()
    written.headers = [("content-type", b"application/cloudevents+json")]
    return written


def test_what_belongs_to_no_case_belongs_to_none_when_it_is_replayed() -> None:
    def refuse(*_: Any) -> Decision[Tally]:
        return Decision(apart=True)

    reader = Reader("routing", [Reaction(ReplyAccepted, refuse, lambda event: event.referral_id)], Subscription("", ""))

    command = reader.replayed({"_id": new_id(), "mark": ""}, a_record(reply(), topic=REPLIES))

    assert command is not None
    assert command.decide(None, NOW).apart


def test_a_key_that_ends_in_a_line_break_is_no_id() -> None:
    written = Written()
    written.key, written.value = f"{new_id()}\n".encode(), b"broken"

    decision = decision_on(record_of(written))

    assert decision is not None
    [told] = decision.events
    assert told.original_key == told.record_id


def test_record_too_large_for_the_store_is_set_aside_without_its_bytes() -> None:
    written = Written()
    written.value = b"x" * (17 * 1024 * 1024)

    decision = decision_on(record_of(written))

    assert decision is not None
    assert decision.aside is not None
    assert (decision.aside["value"], decision.aside["bytes"] > 17 * 1024 * 1024) == (None, True)


def test_more_headers_than_a_document_of_the_store_holds_are_not_kept() -> None:
    written = Written()
    written.headers = [("", b"")] * 500_000

    decision = decision_on(record_of(written))

    assert decision is not None
    assert decision.aside is not None
    assert (decision.aside["reason"], decision.aside["headers"]) == ("bad_headers", [])
