"""Hostile records on a real broker: set aside with their coordinates, and every neighbour takes effect."""

import inspect
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.consumer import fetcher
from faults.checker import effects_violated
from faults.instances import instances_of
from toy.batches import CODECS, with_raw_name, write_batch, write_copies
from toy.records import Written, kwargs_of
from toy.trial import PARTITIONS, Trial, eventually, running

from shared.pipeline.wire import LARGEST_BATCH, PatientRecords


async def handled(trial: Trial, records: int) -> bool:
    return await trial.effects() + len(await trial.aside()) == records


async def test_a_header_name_that_is_not_utf_8_stops_nobody(trial: Trial) -> None:
    events, bad = [], []
    for codec in CODECS:
        before, hostile, after = Written(), with_raw_name(Written()), Written()
        await write_batch(trial.kafka, trial.names.incoming, [before, hostile, after], codec)
        events += [before, after]
        bad.append(hostile)

    async with running(trial.pipeline()):
        await eventually(lambda: handled(trial, 15), what="all records")
        await eventually(lambda: committed(trial, 15), what="the commit")

    assert effects_violated(await trial.tallies(), events, in_order=True, aside=()) == []
    aside = await trial.aside()
    assert [document["value"] for document in aside] == [event.value for event in bad]
    assert [document["offset"] for document in aside] == [1, 4, 7, 10, 13]
    assert {(document["topic"], document["partition"]) for document in aside} == {(trial.names.incoming, 0)}


async def committed(trial: Trial, offset: int) -> bool:
    return (await trial.committed()).get(0) == offset


async def test_records_without_headers_key_or_value_and_large_ones_stop_nobody(trial: Trial) -> None:
    naked, keyless, empty, large = (Written() for _ in range(4))
    naked.headers, keyless.key, empty.value, large.value = [], None, None, b"x" * 1_000_000
    fine = [Written() for _ in range(3)]

    async with running(trial.pipeline()):
        await trial.write(fine[0], naked, keyless, fine[1], empty, large, fine[2])
        await eventually(lambda: handled(trial, 7), what="all records")

    assert effects_violated(await trial.tallies(), fine, in_order=True, aside=()) == []
    reasons = {document["reason"] for document in await trial.aside()}
    assert reasons == {"bad_headers", "no_key", "empty", "not_json"}
    assert large.value in [document["value"] for document in await trial.aside()]


BOMB_MEGABYTES = {"gzip": 200, "snappy": 18, "lz4": 200, "zstd": 200}
"""What each bomb unpacks to; snappy does not pack more than that into what the broker takes."""
NEARLY_BOMBS = 40
GROWTH_MEGABYTES = 160
"""What a fetch answer may unpack to, and what it takes to do so."""


async def test_compressed_bombs_stop_nobody_and_take_no_memory(trial: Trial, tmp_path: Path) -> None:
    fine, bomb, nearly = [Written() for _ in range(6)], Written(), Written()
    for codec, event in zip(BOMB_MEGABYTES, fine[1:], strict=False):
        bomb.value = bytes(BOMB_MEGABYTES[codec] * 1024 * 1024)
        await write_batch(trial.kafka, trial.names.incoming, [bomb], codec)
        await trial.write(event)
    nearly.value = bytes(LARGEST_BATCH * 9 // 10)
    await write_copies(trial.kafka, trial.names.incoming, [nearly], range(0, NEARLY_BOMBS * PARTITIONS, PARTITIONS))

    async with instances_of(trial, tmp_path) as instances:
        instance = await instances.start().ready()
        idle = instance.resident_megabytes
        await trial.write(fine[0], fine[5])
        await eventually(lambda: handled(trial, 6 + 4 + NEARLY_BOMBS), what="all records", seconds=60)
        await eventually(lambda: all_committed(trial, 6 + 4 + NEARLY_BOMBS), what="the commit", seconds=60)
        grown = instance.resident_megabytes - idle

    assert effects_violated(await trial.tallies(), fine, in_order=True, aside=()) == []
    print(f"{idle:.0f} MB idle, {grown:.0f} MB more")
    assert grown < GROWTH_MEGABYTES


async def all_committed(trial: Trial, records: int) -> bool:
    return sum((await trial.committed()).values()) == records


async def test_what_a_writer_took_back_has_no_effect(trial: Trial) -> None:
    taken_back, kept, last = Written(), Written(), Written()
    async with AIOKafkaProducer(**trial.kafka.options, transactional_id=trial.names.service) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(trial.names.incoming, **kwargs_of(taken_back), partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(trial.names.incoming, **kwargs_of(kept), partition=0)
    await trial.write(last)

    async with running(trial.pipeline()):
        await eventually(lambda: handled(trial, 2), what="the effects")

    assert effects_violated(await trial.tallies(), [kept, last], in_order=True, aside=()) == []


def test_the_client_still_looks_for_its_reader_where_ours_is_put(trial: Trial) -> None:
    trial.pipeline()

    assert fetcher.MemoryRecords is PatientRecords
    assert "MemoryRecords(" in inspect.getsource(fetcher.Fetcher)
