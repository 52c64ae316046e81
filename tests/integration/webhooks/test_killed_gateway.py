"""A gateway that is killed in the midst of sending."""

import os
import subprocess
import sys
from pathlib import Path

from receiver import Got, hang, receiving, status, welcome
from sending import Office, of_each
from toy.trial import eventually

from deploy.backends import Backends
from deploy.embedded.daemon import tied
from services.gateway.webhooks.store import LEASE
from shared.mongo import Database

HERE = Path(__file__).parent
PATH = os.pathsep.join(map(str, (HERE.parents[2], HERE.parents[1], HERE)))


async def test_nothing_is_lost_and_each_referral_keeps_its_order(
    office: Office, database: Database, backends: Backends
) -> None:
    referrals = [f"r-{number}" for number in range(20)]
    async with receiving() as receiver:

        async def take_some(got: Got) -> bytes:
            return status(200) if len(receiver.got) <= 50 else await hang(got)

        receiver.answer = take_some
        await office.webhook(receiver)
        await office.tell(*((referral, number) for number in range(5) for referral in referrals))
        process = subprocess.Popen(  # noqa: ASYNC220  # it does not wait, and is tied to this one's life
            tied([sys.executable, str(HERE / "sending_process.py"), backends.mongo, database.name, str(receiver.port)]),
            env={**os.environ, "PYTHONPATH": PATH},
        )

        async def is_stuck() -> bool:
            return len(receiver.got) > 60

        try:
            await eventually(is_stuck, seconds=60)
        finally:
            process.kill()
            process.wait()
        receiver.answer = welcome
        office.gateway()
        assert await office.webhooks.hold("awo", "too early", office.clock()) is None
        office.clock.pass_by(seconds=2 * LEASE.total_seconds())
        office.nudge()

        await office.delivered(100)

        for numbers in of_each(receiver, referrals).values():
            assert list(dict.fromkeys(numbers)) == [0, 1, 2, 3, 4]
        assert 100 < len(receiver.got) <= 150
