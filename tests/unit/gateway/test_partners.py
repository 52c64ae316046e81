"""Who is let in is attended to, and not longer."""

import asyncio
from collections.abc import AsyncIterator, Callable
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


class Office:
    """A folder of partners, and who is attended to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.present: list[str] = []
        self.failures: list[Exception] = []
        self.known = Partners(folder, self.attend)

    async def attend(self, partner: Partner) -> None:
        """Attend until cancelled, or fail as often as it is told to."""
        if self.failures:
            raise self.failures.pop()
        self.present.append(partner.id)
        try:
            await asyncio.Event().wait()
        finally:
            self.present.remove(partner.id)

    def let_in(self, *ids: str) -> None:
        """Write their files."""
        for id_ in ids:
            (self.folder / f"{id_}.env").write_text(FILE)

    async def attends(self, *ids: str) -> None:
        """Wait until it attends to these and no others."""

        async def so() -> bool:
            return sorted(self.present) == sorted(ids)

        await eventually(so, what=f"attendance of {ids}, not {self.present}", seconds=5)


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Office]:
    monkeypatch.setattr(partners, "LOOK_SECONDS", 0.01)
    made = Office(tmp_path)
    yield made
    await made.known.stop()


def is_no_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")


def is_incomplete(file: Path) -> None:
    file.write_text("KAFKA_BOOTSTRAP=127.0.0.1:1\n")


def is_no_file(file: Path) -> None:
    file.mkdir()


@pytest.mark.parametrize("spoil", [is_no_text, is_incomplete, is_no_file])
async def test_a_wrong_file_keeps_nobody_else_out_and_is_read_again_when_it_is_mended(
    office: Office, spoil: Callable[[Path], None]
) -> None:
    spoil(office.folder / "awo.env")
    await office.known.start()
    office.let_in("vhs")
    await office.attends("vhs")

    if (office.folder / "awo.env").is_dir():
        (office.folder / "awo.env").rmdir()
    office.let_in("awo")
    await office.attends("awo", "vhs")
    (office.folder / "vhs.env").unlink()
    await office.attends("awo")


async def test_a_file_that_goes_during_a_look_shuts_out_nobody_else(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.let_in("awo")
    await office.known.start()
    await office.attends("awo")
    found, looks = Path.glob, 0

    def and_one_that_has_gone(folder: Path, pattern: str) -> list[Path]:
        nonlocal looks
        looks += 1
        return [office.folder / "gone.env", *found(folder, pattern)]

    async def looked() -> bool:
        return looks >= 2

    monkeypatch.setattr(Path, "glob", and_one_that_has_gone)
    await eventually(looked)
    assert office.known.get("awo") is not None


async def test_a_look_that_fails_is_followed_by_another(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.let_in("awo")
    await office.known.start()
    await office.attends("awo")
    failures = [OSError(24, "too many open files")] * 2
    glob = Path.glob

    def fail(folder: Path, pattern: str) -> object:
        if failures:
            raise failures.pop()
        return glob(folder, pattern)

    monkeypatch.setattr(Path, "glob", fail)
    (office.folder / "awo.env").unlink()
    await office.attends()
    assert not failures


async def test_nobody_is_attended_to_twice_at_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often its file goes and comes while what was begun before takes its time to end."""
    most, may_leave = 0, asyncio.Event()

    async def attend(partner: Partner) -> None:
        nonlocal most
        office.present.append(partner.id)
        most = max(most, len(office.present))
        try:
            await asyncio.Event().wait()
        finally:
            await may_leave.wait()
            office.present.remove(partner.id)

    async def is_known() -> bool:
        return office.known.get("awo") is not None

    async def is_unknown() -> bool:
        return not await is_known()

    monkeypatch.setattr(office.known, "_attend", attend)
    office.let_in("awo")
    await office.known.start()
    await office.attends("awo")
    for _ in range(3):
        (office.folder / "awo.env").unlink()
        await eventually(is_unknown)
        office.let_in("awo")
        looks = office.known._files

        async def was_looked_at(before: object = looks) -> bool:
            return office.known._files is not before and "awo" in office.known._files

        await eventually(was_looked_at)
    may_leave.set()

    await eventually(is_known)
    await office.attends("awo")
    assert most == 1


async def test_attendance_that_fails_begins_again(office: Office) -> None:
    office.failures = [RuntimeError("a fault of ours")]
    office.let_in("awo")
    await office.known.start()

    await office.attends("awo")


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
