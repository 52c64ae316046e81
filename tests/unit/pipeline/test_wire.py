"""Batches that the client cannot read: every neighbour of a broken record is delivered."""

import cramjam
import pytest
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given, settings
from hypothesis import strategies as st
from toy.batches import CODECS, bytes_of, sealed, with_codec, with_raw_name
from toy.records import Written

from shared.pipeline.wire import LARGEST_BATCH, MOST_HEADERS, MOST_OFFSETS, UNREADABLE, PatientRecords

COMPRESSED = [codec for codec in CODECS if codec != "plain"]
Read = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]


def read(data: bytes) -> list[Read]:
    """Every record of a fetch answer, read patiently."""
    records, found = PatientRecords(bytes(data)), []
    while records.has_next():
        batch = records.next_batch()
        assert batch.validate_crc()
        found += [(record.offset, record.key, record.value, list(record.headers)) for record in batch]
    return found


def expected(events: list[Written], base_offset: int = 0) -> list[Read]:
    return [(base_offset + number, event.key, event.value, event.headers) for number, event in enumerate(events)]


def lost(offset: int, reason: str) -> Read:
    return (offset, None, None, [(UNREADABLE, reason.encode())])


@pytest.mark.parametrize("codec", CODECS)
def test_good_batches_are_read_as_they_are(codec: str) -> None:
    events = [Written() for _ in range(3)]

    assert read(bytes_of(events, codec, base_offset=40)) == expected(events, 40)


@pytest.mark.parametrize("codec", CODECS)
def test_a_header_name_that_is_not_utf_8_costs_no_neighbour(codec: str) -> None:
    before, bad, after = Written(), with_raw_name(Written()), Written()
    data = bytes_of([before, bad, after], codec, base_offset=7)

    first, second, third = read(data)

    assert [first, third] == [expected([before], 7)[0], expected([after], 9)[0]]
    assert second[:3] == (8, bad.key, bad.value)
    assert second[3][-1] == ("x-\udcff\udcfe", b"1")


def test_the_client_alone_would_stop_at_it() -> None:
    records = MemoryRecords(bytes(bytes_of([Written(), with_raw_name(Written())])))

    with pytest.raises(UnicodeDecodeError):
        list(records.next_batch())


@pytest.mark.parametrize("codec", CODECS)
def test_a_wrong_checksum_costs_one_record_for_each_offset_of_that_batch(codec: str) -> None:
    damaged, fine = bytes_of([Written(), Written()], codec, base_offset=5), [Written()]
    damaged[-1] ^= 0xFF

    assert read(damaged + bytes_of(fine, base_offset=7)) == [lost(5, "crc"), lost(6, "crc"), *expected(fine, 7)]


def test_an_unknown_compression_costs_that_batch_only() -> None:
    fine = [Written()]
    unknown = with_codec(bytes_of([Written(), Written()]), 7)

    found = read(unknown + bytes_of(fine, base_offset=2))

    assert [offset for offset, *_, headers in found if headers[0][0] == UNREADABLE] == [0, 1]
    assert found[2:] == expected(fine, 2)


@pytest.mark.parametrize("codec", COMPRESSED)
def test_compressed_bytes_that_are_none_cost_that_batch_only(codec: str) -> None:
    broken = with_codec(bytes_of([Written(), Written()]), CODECS[codec])

    assert [record[3][0][0] for record in read(broken)] == [UNREADABLE, UNREADABLE]


def large(size: int) -> Written:
    """An event that a few kilobytes unpack to."""
    written = Written()
    written.value = bytes(size)
    return written


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_batch_that_unpacks_to_too_much_costs_that_batch_only(codec: str) -> None:
    bomb, fine = bytes_of([large(LARGEST_BATCH)], codec, base_offset=3), [Written()]

    assert read(bomb + bytes_of(fine, base_offset=4)) == [lost(3, "size"), *expected(fine, 4)]


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_batch_that_unpacks_to_just_as_much_as_it_may_is_read(codec: str) -> None:
    overhead = 200 + sum(len(name) + len(text or b"") + 4 for name, text in Written().headers)
    events = [large(LARGEST_BATCH - overhead)]

    assert read(bytes_of(events, codec)) == expected(events)


def test_snappy_as_one_block_is_read_and_bounded() -> None:
    fine, bomb = (
        bytes_of([event], base_offset=offset) for offset, event in enumerate([Written(), large(LARGEST_BATCH)])
    )
    packed = [batch[:61] + bytes(cramjam.snappy.compress_raw(bytes(batch[61:]))) for batch in (fine, bomb)]
    for batch in packed:
        batch[8:12] = (len(batch) - 12).to_bytes(4, "big")

    assert read(b"".join(with_codec(batch, CODECS["snappy"]) for batch in packed)) == [*read(fine), lost(1, "size")]


def test_one_fetch_answer_unpacks_no_more_than_one_batch_may_and_the_rest_is_asked_for_again() -> None:
    events = [large(LARGEST_BATCH // 2) for _ in range(4)]
    batches = [bytes_of([event], "zstd", base_offset=offset) for offset, event in enumerate(events)]

    assert read(b"".join(batches)) == expected(events[:2])
    assert read(b"".join(batches[2:])) == expected(events[2:], 2)


@pytest.mark.parametrize("codec", COMPRESSED)
def test_a_record_with_more_headers_than_anybody_writes_costs_no_neighbour(codec: str) -> None:
    most, more = Written(), Written()
    most.headers = [("", None)] * MOST_HEADERS
    more.headers = [("", None)] * (MOST_HEADERS + 1)

    assert read(bytes_of([most, more, most], codec)) == [*expected([most]), lost(1, "length"), *expected([most], 2)]


@pytest.mark.parametrize("codec", CODECS)
def test_for_a_batch_that_claims_offsets_without_end_its_last_one_stands_for_all(codec: str) -> None:
    claiming = bytes_of([Written()], codec, base_offset=5)
    claiming[23:27] = MOST_OFFSETS.to_bytes(4, "big")  # from the first to the last

    assert read(sealed(claiming)) == [lost(5 + MOST_OFFSETS, "size from 5")]


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_that_claims_records_without_end_has_those_it_has(codec: str) -> None:
    events, fine = [Written(), Written()], [Written()]
    claiming = bytes_of(events, codec)
    claiming[57:61] = (2**31 - 1).to_bytes(4, "big")

    assert read(sealed(claiming) + bytes_of(fine, base_offset=2)) == expected([*events, *fine])


@pytest.mark.parametrize("codec", ["plain", "gzip"])
def test_the_time_at_which_the_broker_took_a_batch_counts_for_its_records(codec: str) -> None:
    data = bytes_of([with_raw_name(Written())], codec)
    data[22] |= 0x08  # the broker's clock counts
    data[35:43] = (1_800_000_000_000).to_bytes(8, "big")

    [record] = PatientRecords(bytes(sealed(data))).next_batch()

    assert record.timestamp == 1_800_000_000_000


@pytest.mark.parametrize("length", [0x7F, 0x00, 0x02], ids=["none", "empty", "short"])
def test_a_record_whose_lengths_lie_costs_no_neighbour(length: int) -> None:
    events = [Written() for _ in range(3)]
    data = bytes_of(events)
    data[data.index(events[1].key or b"") - 1] = length  # of its key

    found = read(sealed(data))

    assert [found[0], found[2]] == [expected(events)[0], expected(events)[2]]
    assert found[1] == lost(1, "length")


def test_a_batch_whose_records_were_all_compacted_away_is_passed() -> None:
    fine = [Written()]
    empty = bytearray(bytes_of([Written()])[:61])
    empty[8:12] = (61 - 12).to_bytes(4, "big")
    empty[57:61] = bytes(4)

    assert read(sealed(empty) + bytes_of(fine, base_offset=1)) == expected(fine, 1)


def test_a_record_that_claims_an_offset_of_others_moves_nobody() -> None:
    events = [Written() for _ in range(2)]
    data = bytes_of(events, base_offset=5)
    delta = data.index(events[1].key or b"") - 2
    assert data[delta] == 2  # one, in the wire's own way to write it
    data[delta] = 60

    assert read(sealed(data)) == [*expected(events[:1], 5), lost(6, "offsets")]


@given(changes=st.lists(st.tuples(st.integers(61, 2000), st.integers(1, 255)), min_size=1, max_size=5))
@settings(max_examples=200)
def test_whatever_a_batch_holds_its_offsets_are_delivered_and_its_neighbours_read(
    changes: list[tuple[int, int]],
) -> None:
    before, events, after = [Written()], [Written() for _ in range(3)], [Written()]
    data = bytes_of(events, base_offset=1)
    for position, change in changes:
        data[61 + position % (len(data) - 61)] ^= change  # behind the header of the batch

    found = read(bytes_of(before) + sealed(data) + bytes_of(after, base_offset=4))

    assert found[0] == expected(before)[0]
    assert found[-1] == expected(after, 4)[0]
    assert [record[0] for record in found] == [0, 1, 2, 3, 4]


def test_what_can_be_read_before_a_batch_ends_too_early_is_delivered() -> None:
    events = [Written() for _ in range(3)]
    data = bytes_of(events)
    del data[data.index(events[2].key or b"") :]
    data[8:12] = (len(data) - 12).to_bytes(4, "big")

    found = read(sealed(data))

    assert found[:2] == expected(events)[:2]
    assert [record[0] for record in found] == [0, 1, 2]
    assert found[2][1:3] == (None, None)


def test_a_record_of_an_old_format_with_a_wrong_checksum_stops_nobody() -> None:
    builder = LegacyRecordBatchBuilder(1, 0, 10_000)
    builder.append(3, 1_700_000_000_000, b"key", b"value")
    old = bytearray(builder.build())
    old[-1] ^= 0xFF

    assert read(old) == [lost(3, "crc")]


def test_a_batch_cut_short_by_the_fetch_is_left_for_the_next_one() -> None:
    whole, cut = [Written()], bytes_of([Written()], base_offset=1)

    assert read(bytes_of(whole) + cut[:-5]) == expected(whole)
