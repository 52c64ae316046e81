"""Taking a case in, whether it comes alone or in an import: gate, checks, and one command for the pipeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from prometheus_client import Counter

from services.intake.api.repetition import answer_given, digest, digest_of_body
from services.intake.domain.cases import IntakeCase
from services.intake.domain.contradictions import contradictions_in
from services.intake.domain.decisions import open_case
from services.intake.domain.gate import REDIRECTED, asks_about_asylum, without_asylum
from services.intake.domain.requests import NewCase
from services.intake.repository import REQUESTS, SOURCES, Counters
from shared.contracts.base import new_id
from shared.envelope import Cause
from shared.mongo import StoreError
from shared.pipeline.decisions import Command, Decision, Failed, Mark, Repeated
from shared.pipeline.door import Door
from shared.pipeline.engine import utc_now
from shared.web.problems import not_valid

log = structlog.get_logger()

ASYLUM_REDIRECTED: Final = Counter(
    "wegweiser_asylum_redirected_total", "Requests pointed to the person's own social worker"
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender is told. Without a `case_id` nothing was kept."""

    answer: Mapping[str, Any]
    is_repetition: bool = False

    @property
    def case_id(self) -> str | None:
        """The case, where there is one."""
        return self.answer["case_id"]  # type: ignore[no-any-return]


class Reception:
    """The one way a case comes in."""

    def __init__(
        self, door: Door[IntakeCase], counters: Counters, denominational: Sequence[str], partners: Sequence[str]
    ) -> None:
        self._door = door
        self._counters = counters
        self._denominational = tuple(denominational)
        self.partners = tuple(partners)

    async def receive(self, said: NewCase, cause: Cause, *, imported: bool, key: str | None = None) -> Receipt:
        """Open a case, or find the one that the same request opened before.

        Raises a problem where the request contradicts itself, or its key or reference came with another body.
        """
        case = without_asylum(said)
        redirects = asks_about_asylum(said.concerns)
        if case is None:
            await self.count_redirected()
            return Receipt({"case_id": None, "redirected": REDIRECTED})
        faults = contradictions_in(
            case, utc_now(), imported=imported, partners=self.partners, denominational=self._denominational
        )
        if faults:
            raise not_valid(faults)
        receipt = await self._open(case, cause, key)
        if not redirects:
            return receipt
        if not receipt.is_repetition:
            await self.count_redirected()
        return Receipt({**receipt.answer, "redirected": REDIRECTED}, receipt.is_repetition)

    async def _open(self, case: NewCase, cause: Cause, key: str | None) -> Receipt:
        case_id = new_id()

        def decide(_: IntakeCase | None, now: datetime) -> Decision[IntakeCase]:
            return open_case(case, case_id, now, self._denominational)

        marks = _marks(case, key, case_id)
        outcome = await self._door.submit(Command(key=None, cause=cause, decide=decide, marks=marks))
        if isinstance(outcome, Failed):
            raise outcome.error
        if isinstance(outcome, Repeated):
            answer = _answer_given(outcome, case, marks)
            if key is not None and outcome.mark["_id"] != marks[0].id:
                await self._remember_key(case, cause, key, answer)
            return Receipt(answer, is_repetition=True)
        assert outcome.decision.answer is not None
        return Receipt(outcome.decision.answer)

    async def _remember_key(self, case: NewCase, cause: Cause, key: str, answer: Mapping[str, Any]) -> None:
        """Only the reference was known: from now on the key stands for the answer as well."""
        mark = _marks(case, key, answer["case_id"])[0]
        decision: Decision[IntakeCase] = Decision(answer=answer)
        command = Command(key=None, cause=cause, decide=lambda _known, _now: decision, marks=(mark,))
        outcome = await self._door.submit(command)
        if isinstance(outcome, Failed):
            raise outcome.error
        if isinstance(outcome, Repeated):  # the same key came twice at the same moment
            _answer_given(outcome, case, (mark,))

    async def count_redirected(self) -> None:
        """Somebody was pointed to the own social worker."""
        ASYLUM_REDIRECTED.inc()
        try:
            await self._counters.count_redirected(utc_now())
        except StoreError as error:  # the pointer must reach the person all the same
            log.warning("redirection_not_counted", error=error)


def _answer_given(repeated: Repeated, case: NewCase, marks: Sequence[Mark]) -> Mapping[str, Any]:
    return answer_given(repeated, marks, digest_of_body(repeated.mark["answer"]["case_id"], case))


def _marks(case: NewCase, key: str | None, case_id: str) -> tuple[Mark, ...]:
    """What makes the request happen once: its key within caller and route, its reference within the sending system.
    The key's mark comes first."""
    if key is None and case.source_reference is None:
        return ()
    fields = {"body": digest_of_body(case_id, case)}
    marks = []
    if key is not None:
        marks.append(Mark(REQUESTS, digest("POST /v1/cases", key), fields))
    if case.source_reference is not None:
        organisation = case.referrer.organisation if case.referrer else case.channel
        marks.append(Mark(SOURCES, digest(organisation, case.source_reference), fields))
    return tuple(marks)
