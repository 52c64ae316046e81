"""`wegweiser rewind`: a stopped service reads again, and nothing happens twice."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from toy.records import Written
from toy.service import RAISES, subscription
from toy.trial import Trial, eventually, ids_of, running
from typing_commands import Typed

from shared.contracts.base import new_id
from shared.metrics import DUPLICATES
from wegweiser.rewind import ActiveGroupError, Move, set_back

LONG_AGO = datetime(2017, 1, 9, tzinfo=UTC)


async def rewound(trial: Trial, moment: datetime) -> list[Move]:
    return await set_back(trial.kafka, [subscription(trial.names)], moment)


async def everything(trial: Trial) -> dict[str, Any]:
    """What the toy has stored and told."""
    return {
        "tallies": await trial.tallies(),
        "journal": [(row["_id"], row["sequence"]) for row in await trial.rows()],
        "aside": [(row["_id"], row["state"], row["reason"]) for row in await trial.aside()],
        "told": sorted(ids_of(await trial.records_of(trial.names.outgoing))),
    }


def has_committed(trial: Trial, records: int) -> Callable[[], Awaitable[bool]]:
    async def committed() -> bool:
        return sum((await trial.committed()).values()) == records

    return committed


async def test_what_is_read_again_takes_effect_once(trial: Trial) -> None:
    stuck = new_id()
    async with running(trial.pipeline()):
        await trial.write(*(Written() for _ in range(5)))
        await trial.write(Written(stuck, behaviour=RAISES), Written(stuck))
        await eventually(has_committed(trial, 7), what="the commits")
    before = await everything(trial)
    duplicates = DUPLICATES._value.get()

    moves = await rewound(trial, LONG_AGO)
    async with running(trial.pipeline()):
        await eventually(has_committed(trial, 7), what="the commits after the rewind")

    assert sum(move.before - move.after for move in moves) == 7
    assert DUPLICATES._value.get() - duplicates == 7
    assert await everything(trial) == before


async def test_after_a_restore_the_same_events_follow(trial: Trial) -> None:
    async with running(trial.pipeline()):
        await trial.write(*(Written() for _ in range(5)))
        await eventually(has_committed(trial, 5), what="the commits")
    before = await everything(trial)
    await trial.client.drop_database(trial.names.service)

    await rewound(trial, LONG_AGO)
    async with running(trial.pipeline()):
        await eventually(has_committed(trial, 5), what="the commits after the restore")
    after = await everything(trial)

    assert after["tallies"] == before["tallies"]
    assert sorted(after["journal"]) == sorted(before["journal"])
    assert set(after["told"]) == set(before["told"])


async def test_only_what_is_not_older_than_the_time_is_read_again(trial: Trial) -> None:
    case_id = new_id()
    async with running(trial.pipeline()):
        await trial.write(Written(case_id))
        await asyncio.sleep(0.05)
        between = datetime.now(UTC)
        await trial.write(Written(case_id))
        await eventually(has_committed(trial, 2), what="the commits")

    [move] = await rewound(trial, between)

    assert (move.before, move.after) == (2, 1)
    assert move.after in (await trial.committed()).values()


async def test_a_group_is_never_set_forward(trial: Trial) -> None:
    async with running(trial.pipeline()):
        await trial.write(Written())
        await eventually(has_committed(trial, 1), what="the commit")
    await trial.write(*(Written() for _ in range(3)))

    assert await rewound(trial, datetime.now(UTC) + timedelta(days=1)) == []
    assert sum((await trial.committed()).values()) == 1


@pytest.mark.usefixtures("toy")
async def test_a_running_service_is_left_alone(trial: Trial) -> None:
    await trial.write(Written())
    await eventually(has_committed(trial, 1), what="the commit")

    with pytest.raises(ActiveGroupError):
        await rewound(trial, LONG_AGO)

    assert sum((await trial.committed()).values()) == 1


@pytest.fixture
def _toy_is_routing(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("rewind", "lag"):
        monkeypatch.setattr(
            f"wegweiser.{module}.subscriptions_of",
            lambda service: [subscription(trial.names)] if service == "routing" else [],
        )


@pytest.mark.usefixtures("_toy_is_routing")
async def test_the_command_says_what_it_did_and_why_not(trial: Trial, typed: Typed) -> None:
    async with running(trial.pipeline()):
        await trial.write(Written())
        await eventually(has_committed(trial, 1), what="the commit")
        too_early = await typed("rewind", "routing", "--to", "2017-01-09T00:00Z")
    done = await typed("rewind", "routing", "--to", "2017-01-09T00:00+01:00")
    again = await typed("rewind", "routing", "--to", "2017-01-09T00:00+01:00")

    assert (too_early.exit_code, too_early.stderr.count("\n")) == (1, 1)
    assert "stop the service first" in too_early.stderr
    assert done.exit_code == 0
    assert f"{trial.names.service}  {trial.names.incoming}  partition" in done.stdout
    assert "1 → 0" in done.stdout
    assert again.stdout == "nothing to set back\n"


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
