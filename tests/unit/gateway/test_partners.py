"""Who is let in is attended to, and not longer."""

import asyncio
from pathlib import Path

import pytest
from toy.trial import eventually

from services.gateway import partners
from services.gateway.partners import Partner, Partners

FILE = "KAFKA_BOOTSTRAP=127.0.0.1:1\nKAFKA_SASL_USERNAME=a\nKAFKA_SASL_PASSWORD=b\nKAFKA_CA=ca.pem\n"


class Attendance:
    """Takes its time to end."""

    def __init__(self) -> None:
        self.present: list[str] = []
        self.is_asked_to_leave = False
        self.may_leave = asyncio.Event()

    async def attend(self, partner: Partner) -> None:
        self.present.append(partner.id)
        try:
            await asyncio.Event().wait()
        finally:
            self.is_asked_to_leave = True
            await self.may_leave.wait()
            self.present.remove(partner.id)


async def test_a_stop_while_a_partner_is_shut_out_waits_for_it_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partners, "LOOK_SECONDS", 0.01)
    attendance = Attendance()
    known = Partners(tmp_path, attendance.attend)

    async def is_present() -> bool:
        return attendance.present == ["awo"]

    async def is_asked_to_leave() -> bool:
        return attendance.is_asked_to_leave

    (tmp_path / "awo.env").write_text(FILE)
    await known.start()
    await eventually(is_present)
    (tmp_path / "awo.env").unlink()
    await eventually(is_asked_to_leave)

    stopping = asyncio.create_task(known.stop())
    for _ in range(3):
        await asyncio.sleep(0)
    assert not stopping.done()
    attendance.may_leave.set()

    async with asyncio.timeout(5):
        await stopping
    assert attendance.present == []
