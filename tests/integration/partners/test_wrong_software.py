"""Software that does something wrong does not pass, and is told what."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import takewhile

import pytest
from candidates import PYTHON, Candidate, Said, side_by_side

from deploy.backends import Backends
from shared.contracts.routing import ReferralOffered
from wegweiser.scenario import Point

PATIENCE = 20
"""Seconds that a fault takes to show; a group waits ten for a program that was killed."""

DERIVED = "str(uuid5(UUID(event_id), type_))"
BEHAVIOUR = 'BEHAVIOURS[os.environ.get("BEHAVIOUR", "accept")]'


def wrong_everywhere(program: str) -> str:
    """Remembers nothing, takes a new id for each reply, begins what was withdrawn, takes every version for its own,
    accepts and serves whatever it is told, the newest first, and writes all of it under one key."""
    return (
        program.replace(DERIVED, "str(uuid4())")
        .replace("(id_,)).fetchone():", "(uuid4().hex,)).fetchone():")
        .replace('"serve": {', '"serve": {"referral.withdrawn": ("started", {}),')
        .replace("name.removesuffix(VERSION)", "name[:-3]")
        .replace(BEHAVIOUR, 'BEHAVIOURS["serve"]')
        .replace("in (record for records in batch.values() for record in records):", "in newest_first(batch):")
        .replace(
            "async def main()",
            "def newest_first(batch):\n    return sum(batch.values(), [])[::-1]\n\n\nasync def main()",
        )
        .replace("key=subject.encode()", "key=PARTNER.encode()")
    )


def declines_under_one_id(program: str) -> str:
    """Never accepts, and has one id for all that it says."""
    return program.replace(DERIVED, '"one"').replace(BEHAVIOUR, 'BEHAVIOURS["decline"]')


def reads_strictly(program: str) -> str:
    """Ends at a field that it does not know."""
    known = set(ReferralOffered.model_fields)
    return program.replace(
        "    return id_, type_", f"    assert set(event) <= {known} or 'offered' not in type_\n    return id_, type_"
    )


def dies(program: str) -> str:
    """Ends at the first record that is no event."""
    return program.replace("except NoEventError", "except ZeroDivisionError")


def knows_offers_only(program: str) -> str:
    """Ends when its acceptance took effect."""
    return program.replace("    name = type_", "    assert 'referral.accepted' not in type_\n    name = type_")


def loses(program: str) -> str:
    """Takes no more than twenty of what comes at once."""
    return program.replace("for record in records)", "for record in records[:20])")


def forgets(program: str) -> str:
    """Commits before it deals with anything, and remembers what it dealt with until it ends."""
    return (
        program.replace("connect(STATE_FILE", 'connect(":memory:"')
        .replace(DERIVED, "str(uuid4())")
        .replace("            for record in (", "            await consumer.commit()\n            for record in (")
    )


def goes_on_with_the_newest(program: str) -> str:
    """What came while it was away is lost."""
    return program.replace("group_id=GROUP", 'group_id=f"{GROUP}.{uuid4()}"').replace(
        'auto_offset_reset="earliest"',
        'auto_offset_reset="latest" if known.execute("SELECT 1 FROM dealt_with").fetchone() else "earliest"',
    )


FAULTS: Mapping[Callable[[str], str], Mapping[Point, tuple[str, ...]]] = {
    wrong_everywhere: {
        Point.FORM: ("the key is not",),
        Point.REPEATED: ("2 times under different ids",),
        Point.WITHDRAWN: ("reply.started.v1 after it ended",),
        Point.NEWER: ("whose type it cannot know",),
        Point.DECLINED: ("reply.accepted.v1 instead of a reply.declined",),
        Point.ORDER: ("not in the order of its events",),
    },
    declines_under_one_id: {
        Point.OFFER: ("reply.declined.v1; this one has to be accepted",),
        Point.FORM: ("has the ce_id one of the",),
    },
    reads_strictly: {Point.NEWER: ("the consumer ended",)},
    dies: {Point.NO_EVENT: ("the consumer ended",)},
    knows_offers_only: {Point.EVERY_TYPE: ("the consumer ended",)},
    loses: {Point.BURST: ("no answer to",)},
    forgets: {Point.RESTART: ("no answer to", "times under different ids")},
    goes_on_with_the_newest: {Point.RESTART: ("no answer to",)},
}


@pytest.fixture(scope="module")
async def verdicts(
    backends: Backends, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[str, "asyncio.Task[Said]"]]:
    """Of each wrong program."""
    checks = {spoilt.__name__: checking(spoilt) for spoilt in FAULTS}
    async with side_by_side(backends, tmp_path_factory.mktemp("wrong"), checks) as running:
        yield running


def checking(spoilt: Callable[[str], str]) -> Callable[[Candidate], Awaitable[Said]]:
    async def check(candidate: Candidate) -> Said:
        program = candidate.folder / "consumer.py"
        program.write_text(spoilt(PYTHON.read_text()))
        assert program.read_text() != PYTHON.read_text()
        serves = ["--serves"] if spoilt is wrong_everywhere else []
        return await candidate.check(f"{sys.executable} {program}", "--seconds", str(PATIENCE), *serves)

    return check


@pytest.mark.parametrize("spoilt", FAULTS)
async def test_wrong_software_fails_with_its_faults(
    verdicts: Mapping[str, "asyncio.Task[Said]"], spoilt: Callable[[str], str]
) -> None:
    said = await verdicts[spoilt.__name__]

    assert said.exit_code == 1, said.output
    for point, reasons in FAULTS[spoilt].items():
        _, found, rest = said.output.partition(f"FAILED  {point.title}: {point.read_on}\n")
        assert found, said.output + said.log[-2000:]
        faults = [*takewhile(lambda line: line[0] == " ", rest.splitlines())]
        assert all(any(why in fault for fault in faults) for why in reasons), said.output
