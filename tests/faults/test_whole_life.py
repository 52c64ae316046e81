"""Routing is killed between any two steps of a referral's life: it ends as if nobody had touched it."""

import json
import signal
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from faults.checker import bus_violated
from faults.instances import instances_of_routing
from routed import ALL_THREE, PARTNERS, Routed, a_letter, an_agreement, queue_of, routed, some_facts
from toy.run import AFTER_TRANSACTION
from toy.trial import eventually

from deploy.backends import Backends
from services.routing.domain.case import Referral, RoutedCase
from shared.contracts.base import new_id
from shared.contracts.codes import Actor, PauseReason, ServiceOutcome
from shared.contracts.codes import ReferralState as S
from shared.contracts.intake import CaseOpened
from shared.contracts.partners import Reply, ReplyAccepted, ReplyCompleted, ReplyPaused, ReplyResumed, ReplyStarted

Step = tuple[Callable[[Routed, str], Awaitable[Any]], Callable[[Sequence[Referral]], bool]]
"""What happens to a case, and whether its referrals have come so far."""
IN_A_WEEK: Final = datetime.now(UTC).date() + timedelta(days=7)


async def opened(routing: Routed, case_id: str) -> None:
    facts = some_facts(ALL_THREE).model_copy(update={"case_id": case_id})
    await routing.write(a_letter("intake", CaseOpened(**dict(facts))))


def run_out(kind: str) -> Callable[[Routed, str], Awaitable[int]]:
    return lambda routing, case_id: routing.let_run_out([case_id], kind)


def replied(reply: type[Reply], **said: Any) -> Callable[[Routed, str], Awaitable[None]]:
    async def write(routing: Routed, case_id: str) -> None:
        last = (await last_of(routing, case_id))[1]
        await routing.reply(last.partner_id or "", reply(referral_id=last.id, **said))

    return write


async def booked(routing: Routed, case_id: str) -> None:
    await routing.book(*await last_of(routing, case_id))


async def last_of(routing: Routed, case_id: str) -> tuple[RoutedCase, Referral]:
    [case] = await routing.cases([case_id])
    return case, case.referrals[-1]


LIFE: Final[Sequence[Step]] = (
    (opened, lambda known: len(known) == 1),
    (run_out("response"), lambda known: known[0].is_overdue),
    (run_out("grace"), lambda known: len(known) == 2),
    (replied(ReplyAccepted), lambda known: known[1].state is S.ACCEPTED),
    (booked, lambda known: known[1].state is S.SCHEDULED),
    (replied(ReplyStarted), lambda known: known[1].state is S.IN_SERVICE),
    (replied(ReplyPaused, reason=PauseReason.ILLNESS, review_on=IN_A_WEEK), lambda known: known[1].state is S.ON_HOLD),
    (run_out("review"), lambda known: known[1].state is S.ON_HOLD and known[1].by is Actor.CLOCK),
    (replied(ReplyResumed), lambda known: known[1].state is S.IN_SERVICE),
    (replied(ReplyCompleted, outcome=ServiceOutcome.HELPED), lambda known: known[1].state is S.COMPLETED),
)


async def step(routing: Routed, at: dict[str, int]) -> None:
    """Every case takes its next step, all at the same moment, and `at` counts it."""
    for case_id in at:
        if at[case_id] < len(LIFE):
            await LIFE[at[case_id]][0](routing, case_id)
            at[case_id] += 1


async def arrived(routing: Routed, at: dict[str, int]) -> bool:
    """Everything that was begun has come to rest."""
    known = {case.id: case.referrals for case in await routing.cases([id_ for id_ in at if at[id_]])}
    return all(id_ in known and LIFE[at[id_] - 1][1](known[id_]) for id_ in at if at[id_]) and await routing.at_rest()


async def life_of(routing: Routed, case_id: str) -> list[Any]:
    """What became of each referral, and what its partner was told, in order."""
    told: dict[str, dict[str, str]] = defaultdict(dict)
    for record in await routing.records(*map(queue_of, PARTNERS)):
        headers = dict(record.headers)
        told[json.loads(record.value)["referral_id"]][headers["ce_id"].decode()] = headers["ce_type"].decode()
    [case] = await routing.cases([case_id])
    return [
        (one.state, one.by, one.reason, one.outcome, one.clock, one.partner_id is None, list(told[one.id].values()))
        for one in case.referrals
    ]


async def test_killed_between_any_two_steps_a_referral_lives_as_if_undisturbed(
    backends: Backends, tmp_path: Path
) -> None:
    async with (
        routed(backends, an_agreement()) as routing,
        instances_of_routing(backends, tmp_path) as instances,
    ):
        undisturbed = new_id()
        lanes = [new_id() for _ in LIFE]
        at = dict.fromkeys([undisturbed, *lanes], 0)
        lasting = instances.start()
        for number in range(len(LIFE)):  # lane after lane sets out, so that each is at another step
            moving = {id_: at[id_] for id_ in (undisturbed, *lanes[:number])}
            await step(routing, moving)
            at.update(moving)
            await eventually(lambda: arrived(routing, at), what=f"step {number}", seconds=60)
        assert sorted(at.values()) == [*range(len(LIFE)), len(LIFE)]
        await lasting.stop()

        victim = instances.start("--die-at", AFTER_TRANSACTION)  # told of nothing yet, and nothing committed
        await step(routing, at)
        assert await victim.ended() == -signal.SIGKILL
        instances.start()
        await eventually(lambda: arrived(routing, at), what="the steps it was killed at", seconds=60)
        while min(at.values()) < len(LIFE):
            await step(routing, at)
            await eventually(lambda: arrived(routing, at), what="the end", seconds=60)

        example = await life_of(routing, undisturbed)
        assert [state for state, *_ in example] == [S.EXPIRED, S.COMPLETED]
        assert [len(told) for *_, told in example] == [3, 8]
        for case_id in lanes:
            assert await life_of(routing, case_id) == example
        rows, records = await routing.rows(), await routing.records()
        for topic in {row["topic"] for row in rows}:
            told = [row for row in rows if row["topic"] == topic]
            assert bus_violated(topic, [one for one in records if one.topic == topic], told) == []
