"""The timeline tells each event once, under the name the sender gave the case."""

from datetime import UTC, datetime

import httpx
from rich.text import Text

from shared.contracts import Event
from shared.contracts.base import new_id
from shared.contracts.codes import Concern
from shared.contracts.partners import ReplyAccepted
from shared.contracts.routing import CaseProgressed, ReferralAccepted
from wegweiser.live import Seen
from wegweiser.timeline import Timeline

NOW = datetime(2026, 11, 23, 8, 14, 3, tzinfo=UTC)
CASE = new_id()
REFERRAL = new_id()


class Told:
    """A timeline, the lines it told, and an intake that knows one case."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.is_away = False
        intake = httpx.AsyncClient(base_url="http://intake", transport=httpx.MockTransport(self._answer))
        self.timeline = Timeline(intake, self._show)

    async def add(self, event: Event, id_: str | None = None) -> None:
        await self.timeline.add(Seen(id_ or new_id(), "a.topic.v1", NOW, event))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.is_away or request.url.path != f"/v1/cases/{CASE}":
            return httpx.Response(503)
        return httpx.Response(200, json={"source_reference": "IC-001"})

    def _show(self, line: Text) -> None:
        self.lines.append(line.plain)


def accepted() -> ReferralAccepted:
    return ReferralAccepted(
        partner_id="awo", referral_id=REFERRAL, case_id=CASE, person_id=new_id(), codes=(Concern.DEBT,), languages=()
    )


async def test_a_line_has_the_time_the_senders_reference_and_what_happened() -> None:
    told = Told()
    await told.add(accepted())
    assert told.lines == [f"{NOW.astimezone():%H:%M:%S}  IC-001    awo takes debt"]


async def test_a_case_is_told_by_its_id_while_intake_is_away() -> None:
    told = Told()
    told.is_away = True
    await told.add(accepted())
    told.is_away = False
    await told.add(accepted())
    assert [line.split()[1] for line in told.lines] == [CASE[:8], "IC-001"]


async def test_a_reply_that_names_its_referral_only_is_told_under_its_case() -> None:
    told = Told()
    await told.add(accepted())
    await told.add(ReplyAccepted(referral_id=REFERRAL))
    assert told.lines[1].split()[1] == "IC-001"


async def test_a_late_duplicate_is_told_once() -> None:
    told = Told()
    await told.add(accepted(), "same")
    await told.add(accepted(), "same")
    assert len(told.lines) == 1


async def test_summaries_of_what_was_told_are_passed_over() -> None:
    told = Told()
    await told.add(CaseProgressed(case_id=CASE, standings=()))
    assert told.lines == []
