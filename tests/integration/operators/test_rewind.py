"""`wegweiser rewind`: a stopped service whose database was restored to an older state catches up, and tells nothing
twice."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from aiokafka.admin import AIOKafkaAdminClient
from toy.backups import Backup, back_up, restore
from toy.records import Written
from toy.service import RAISES, TELLS_NOBODY, TELLS_TWO, Tally, pipeline, subscription, told
from toy.trial import Trial, eventually, ids_of, running
from typing_commands import Typed

from shared import mongo
from shared.contracts.base import new_id
from shared.envelope import Cause
from shared.mongo import UnavailableError
from shared.pipeline import engine
from shared.pipeline.decisions import Command, Decision
from shared.pipeline.outbox import OUTBOX, Publisher
from shared.pipeline.patient_consumer import PatientConsumer
from wegweiser.rewind import ActiveGroupError, Rewound, read_again

LONG_AGO = datetime(2017, 1, 9, tzinfo=UTC)


async def rewound(trial: Trial, moment: datetime = LONG_AGO, **options: Any) -> Rewound:
    """The toy publishes what the contracts know as routing's."""
    publishers = ("routing", "every service")
    return await read_again(trial.kafka, trial.pipeline(**options), publishers=publishers, moment=moment)


async def everything(trial: Trial) -> dict[str, Any]:
    """What the toy has stored and told; numbers may leave gaps, and a state may be written more often."""
    counters = {"version", "sequence"}
    own = ("at", "sent_at", "holds_up")
    return {
        "tallies": {id_: tally.model_dump(exclude=counters) for id_, tally in (await trial.tallies()).items()},
        "journal": {row["_id"]: {k: v for k, v in row.items() if k != "sent_at"} for row in await trial.rows()},
        "aside": [{k: v for k, v in row.items() if k not in own} for row in await trial.aside()],
        "told": await told_on_the_bus(trial),
    }


async def told_on_the_bus(trial: Trial) -> list[str]:
    """The ids of everything the toy wrote, repetitions included."""
    topics = (trial.names.outgoing, trial.names.second_outgoing, trial.names.dead_letters)
    return sorted([id_ for topic in topics for id_ in ids_of(await trial.records_of(topic))])


async def committed(trial: Trial) -> int:
    """How many records of both incoming topics the group has committed."""
    admin = AIOKafkaAdminClient(**trial.kafka.options)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(trial.names.service)
    finally:
        await admin.close()
    return sum(place.offset for place in offsets.values())


def has_committed(trial: Trial, records: int) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        return await committed(trial) == records

    return reached


async def travelled(trial: Trial, seed: int, *, after: int = 0) -> int:
    """The toy reads cases from two topics, each record only after the one before, in a random order; among them one
    that cannot be processed and what waits behind it. Returns how many records were committed in all."""
    chance = Random(seed)
    cases = [new_id() for _ in range(4)]
    broken = new_id()
    events = [Written(chance.choice(cases), behaviour=chance.choice(("uk", TELLS_TWO))) for _ in range(14)]
    events += [Written(broken, behaviour=RAISES), Written(broken)]
    async with running(trial.pipeline()):
        for number, event in enumerate(events, after + 1):
            await trial.write(event, topic=chance.choice((trial.names.incoming, trial.names.second_incoming)))
            await eventually(has_committed(trial, number), what="the commit", every=0.01)
    return after + len(events)


async def test_without_a_restore_nothing_happens(trial: Trial) -> None:
    records = await travelled(trial, 1)
    before = await everything(trial)

    done = await rewound(trial)

    assert sum(span.until - span.since for _, span in done.stretches) == records
    assert (done.taken_over, done.took_effect, done.difference.told) == (0, 0, [])
    assert await everything(trial) == before
    assert await committed(trial) == records


@pytest.mark.parametrize("seed", [2, 3])
async def test_after_a_restore_the_same_follows_in_the_same_order(trial: Trial, seed: int) -> None:
    records = await travelled(trial, seed)
    backup = await back_up(trial.database)
    records = await travelled(trial, seed + 10, after=records)
    before = await everything(trial)
    await restore(trial.database, backup)

    done = await rewound(trial)

    assert done.took_effect == records / 2
    assert (done.difference.told, done.difference.lost) == ([], set())
    assert await everything(trial) == before
    assert await trial.unsent() == 0


async def test_after_the_loss_of_the_whole_database_the_same_follows(trial: Trial) -> None:
    await travelled(trial, 5)
    before = await everything(trial)
    await trial.client.drop_database(trial.names.service)

    await rewound(trial)

    assert await everything(trial) == before


async def test_typed_again_it_changes_nothing(trial: Trial) -> None:
    await travelled(trial, 6)
    await restore(trial.database, {})
    await rewound(trial)
    before = await everything(trial)

    done = await rewound(trial)

    assert (done.taken_over, done.took_effect) == (0, 0)
    assert await everything(trial) == before


@pytest.mark.parametrize("transactions", range(1, 8, 3))
async def test_broken_off_and_typed_again_it_comes_out_right(
    trial: Trial, transactions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await travelled(trial, 7)
    before = await everything(trial)
    await restore(trial.database, {})
    await broken_off(trial, transactions, monkeypatch)
    assert await everything(trial) != before

    done = await rewound(trial)

    assert done.difference.told == []
    assert await everything(trial) == before


async def broken_off(trial: Trial, transactions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rewind that ends after so many transactions."""
    stored = 0
    transact = engine.transact

    async def breaks_off(*args: Any) -> None:
        nonlocal stored
        if stored == transactions:
            raise UnavailableError("broken off")
        stored += 1
        await transact(*args)

    with monkeypatch.context() as breaking:
        breaking.setattr(engine, "transact", breaks_off)
        with pytest.raises(UnavailableError):
            await rewound(trial, batch_records=5)


async def test_a_service_that_is_started_while_a_rewind_is_unfinished_says_so(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    await travelled(trial, 8)
    await restore(trial.database, {})
    await broken_off(trial, 1, monkeypatch)

    assert "rewind_unfinished" in await logged_at_start(trial)
    await rewound(trial)
    assert "rewind_unfinished" not in await logged_at_start(trial)


async def logged_at_start(trial: Trial) -> list[str]:
    with structlog.testing.capture_logs() as lines:
        async with running(trial.pipeline()):
            return [line["event"] for line in lines]


def over_http(trial: Trial, case_id: str) -> Command[Tally]:
    """A request that changes a case and tells of it; there is no record of it on the bus."""

    def decide(tally: Tally | None, now: datetime) -> Decision[Tally]:
        changed = (tally or Tally(id=case_id)).model_copy(update={"changed_at": now})
        return Decision(changed, (told(trial.names.partner, case_id),))

    return Command(case_id, Cause.begin(), decide)


async def test_what_was_decided_and_never_told_goes_out_now_with_numbers_of_its_own(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = new_id()
    request, told_first, untold = over_http(trial, case_id), Written(case_id), Written(case_id, behaviour=TELLS_TWO)
    toy = trial.pipeline()
    async with running(toy):
        await toy.handle([request])
        await trial.write(told_first)
        await eventually(has_committed(trial, 1), what="the first commit")
    monkeypatch.setattr(Publisher, "publish", lambda *_: asyncio.sleep(0))
    async with running(trial.pipeline()):
        await trial.write(untold)
        await eventually(has_committed(trial, 2), what="the second commit")
    monkeypatch.undo()
    await restore(trial.database, {})

    await rewound(trial)
    later = Written(case_id)
    async with running(trial.pipeline()):
        await trial.write(later)
        await eventually(has_committed(trial, 3), what="the third commit")
        await eventually(lambda: all_sent(trial), what="everything sent")

    records = await trial.records_of(trial.names.outgoing)
    causes = [dict(record.headers)["ce_causationid"].decode() for record in records]
    numbers = [int(dict(record.headers)["ce_sequence"]) for record in records]
    assert causes == [request.cause.id, told_first.id, untold.id, later.id]
    assert numbers == sorted(set(numbers))
    assert len(await told_on_the_bus(trial)) == 5


async def all_sent(trial: Trial) -> bool:
    return await trial.unsent() == 0


async def test_what_was_handled_but_not_committed_in_time_is_read_as_well(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [new_id() for _ in range(3)]
    monkeypatch.setattr(PatientConsumer, "_commit", lambda _: asyncio.sleep(0))
    async with running(trial.pipeline()):
        await trial.write(*(Written(case_id) for case_id in cases))
        await eventually(lambda: sent(trial, 3), what="the rows")
    monkeypatch.undo()
    never_handled = Written()
    await trial.write(never_handled)
    before = await everything(trial)
    await restore(trial.database, {})

    done = await rewound(trial)

    assert done.took_effect == 3
    assert await everything(trial) == before
    async with running(trial.pipeline()):
        await eventually(lambda: trial.tally(never_handled.case_id), what="the case nobody had read")
    assert await trial.aside() == []


@pytest.mark.parametrize(("known", "ignored"), [(0, 250), (199, 1)])
async def test_what_was_not_committed_in_time_is_found_behind_what_is_ignored(
    trial: Trial, known: int, ignored: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = new_id()
    async with running(trial.pipeline()):
        await trial.write(*not_for_the_toy(case_id, known))
        await eventually(has_committed(trial, known), what="the commit")
    monkeypatch.setattr(PatientConsumer, "_commit", lambda _: asyncio.sleep(0))
    async with running(trial.pipeline()):
        await trial.write(*not_for_the_toy(case_id, ignored), Written(case_id))
        await eventually(lambda: sent(trial, 1), what="the row")
    monkeypatch.undo()
    before = await everything(trial)
    await restore(trial.database, {})

    done = await rewound(trial)

    assert (done.took_effect, done.difference.told) == (1, [])
    assert await everything(trial) == before


def not_for_the_toy(case_id: str, count: int) -> list[Written]:
    """Records that the toy reads and ignores; one case is one partition."""
    return [Written(case_id).with_header("ce_type", b"de.integrationsbuero.case.opened.v1") for _ in range(count)]


async def test_what_told_nobody_and_was_not_committed_keeps_its_place_before_what_was_told(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = new_id()
    silent = [Written(case_id, behaviour=TELLS_NOBODY) for _ in range(250)]
    monkeypatch.setattr(PatientConsumer, "_commit", lambda _: asyncio.sleep(0))
    async with running(trial.pipeline()):
        await trial.write(Written(case_id), *silent, Written(case_id))
        await eventually(lambda: sent(trial, 2), what="the rows")
    monkeypatch.undo()
    before = await everything(trial)
    await restore(trial.database, {})

    done = await rewound(trial)

    assert done.took_effect == 252
    assert await everything(trial) == before


async def sent(trial: Trial, rows: int) -> bool:
    return len(await trial.rows(sent_at={"$exists": True})) == rows


async def test_what_was_sent_since_the_backup_is_not_sent_again(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    case_id = new_id()
    monkeypatch.setattr(Publisher, "publish", lambda *_: asyncio.sleep(0))
    async with running(trial.pipeline()):
        await trial.write(Written(case_id))
        await eventually(has_committed(trial, 1), what="the first commit")
    monkeypatch.undo()
    backup = await back_up(trial.database)
    async with running(trial.pipeline()):
        await trial.write(Written(case_id))
        await eventually(has_committed(trial, 2), what="the second commit")
        await eventually(lambda: sent(trial, 2), what="both rows")
    before = await everything(trial)
    await restore(trial.database, backup)

    done = await rewound(trial)

    assert (done.taken_over, done.took_effect) == (1, 1)
    assert await everything(trial) == before


async def test_what_no_record_leads_to_is_named(trial: Trial) -> None:
    lost, known = new_id(), new_id()

    toy = trial.pipeline()
    async with running(toy):
        await trial.write(Written(known))
        await eventually(has_committed(trial, 1), what="the commit")
        backup: Backup = await back_up(trial.database)
        await toy.handle([over_http(trial, known), over_http(trial, lost)])
        await eventually(lambda: all_sent(trial), what="everything sent")
    await restore(trial.database, backup)

    done = await rewound(trial)

    assert [row["stream"] for row in done.difference.told] == sorted((lost, known))
    assert done.difference.lost == {lost}
    assert await trial.unsent() == 0
    assert {row["stream"] for row in await trial.rows()} == {lost, known}
    assert not await trial.database[OUTBOX].find_one({"at": {"$exists": True}})
    tally = await trial.tally(known)
    assert tally is not None
    assert tally.sequence == 2


async def test_only_what_is_not_older_than_the_time_is_read_again(trial: Trial) -> None:
    case_id = new_id()
    async with running(trial.pipeline()):
        await trial.write(Written(case_id))
        await asyncio.sleep(0.05)
        between = datetime.now(UTC)
        await trial.write(Written(case_id))
        await eventually(has_committed(trial, 2), what="the commits")

    [(_, span)] = (await rewound(trial, between)).stretches

    assert (span.since, span.until) == (1, 2)


async def test_what_the_group_never_read_is_left_to_it(trial: Trial) -> None:
    async with running(trial.pipeline()):
        await trial.write(Written())
        await eventually(has_committed(trial, 1), what="the commit")
    waiting = [Written() for _ in range(3)]
    await trial.write(*waiting)

    for moment in (LONG_AGO, datetime.now(UTC) + timedelta(days=1)):
        assert (await rewound(trial, moment)).took_effect == 0
    assert await committed(trial) == 1
    assert not (await trial.tallies()).keys() & {written.case_id for written in waiting}


@pytest.mark.usefixtures("toy")
async def test_a_running_service_is_left_alone(trial: Trial) -> None:
    await trial.write(Written())
    await eventually(has_committed(trial, 1), what="the commit")

    with pytest.raises(ActiveGroupError):
        await rewound(trial)


@contextmanager
def in_another_loop(trial: Trial) -> Iterator[SimpleNamespace]:
    """The toy with a client of its own; a command runs in a loop of its own."""
    client = mongo.connect(trial.mongo_url)
    yield SimpleNamespace(pipeline=pipeline(trial.names, client[trial.names.service], trial.kafka, trial.mongo_url))
    client.close()


@pytest.fixture
def _toy_is_routing(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "wegweiser.lag.subscriptions_of",
        lambda service: [subscription(trial.names)] if service == "routing" else [],
    )
    monkeypatch.setattr("wegweiser.rewind.not_started", lambda _: in_another_loop(trial))
    monkeypatch.setattr("wegweiser.rewind.logs.configure", lambda *_: None)


@pytest.mark.usefixtures("_toy_is_routing")
async def test_the_command_says_what_it_did_and_why_not(trial: Trial, typed: Typed) -> None:
    async with running(trial.pipeline()):
        await trial.write(Written())
        await eventually(has_committed(trial, 1), what="the commit")
        too_early = await typed("rewind", "routing", "--to", "2017-01-09T00:00Z")
    await restore(trial.database, {})
    done = await typed("rewind", "routing", "--to", "2017-01-09T00:00+01:00")
    again = await typed("rewind", "routing", "--to", "2017-01-09T00:00+01:00")

    assert (too_early.exit_code, too_early.stderr.count("\n")) == (1, 1)
    assert "stop the service first" in too_early.stderr
    assert done.exit_code == 0, done.output
    assert f"{trial.names.service}  {trial.names.incoming}  partition" in done.stdout
    assert "1 offsets read again" in done.stdout
    assert "1 events that routing told before were taken over" in done.stdout
    assert "1 records took effect" in done.stdout
    assert "nothing was missing" in again.stdout


@pytest.mark.usefixtures("_toy_is_routing")
async def test_lag_counts_what_a_stopped_service_has_not_read(trial: Trial, typed: Typed) -> None:
    await trial.write(*(Written() for _ in range(4)))
    never_began = await lag_of(trial, typed)
    async with running(trial.pipeline()):
        await eventually(has_committed(trial, 4), what="the commits")
    await trial.write(*(Written() for _ in range(3)))

    assert never_began == 4
    assert await lag_of(trial, typed) == 3


async def lag_of(trial: Trial, typed: Typed) -> int:
    """The lag of the toy's group, as the table of `wegweiser lag` adds up."""
    shown = await typed("lag")
    assert shown.exit_code == 0, shown.output
    rows = [line.split() for line in shown.stdout.splitlines()]
    return sum(int(row[-1]) for row in rows if row[0] == trial.names.service)
