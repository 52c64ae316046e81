"""The worked examples of docs/agreement.md: each path of a referral, walked by the real decisions."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from life_builders import Living
from routing_builders import AGREEMENTS, AUGUST_2017, MARCH_2017, a_concern, case_number

from services.routing.domain import clearing
from services.routing.domain.case import RoutedCase
from services.routing.domain.situation import Room
from shared.contracts import BY_EVENT, Event
from shared.contracts.base import derived_id
from shared.contracts.codes import (
    AgeBand,
    AssignmentReason,
    CapacityStatus,
    ClarificationTopic,
    ClosingReason,
    Concern,
    DeclineReason,
    FailureReason,
    HandOnReason,
    PauseReason,
    ServiceOutcome,
    WithdrawalReason,
)
from shared.contracts.intake import CaseWithdrawn, LegalBasis
from shared.contracts.routing import CaseProgressed, PartnerEvent
from shared.contracts.scheduling import AppointmentEvent
from shared.days import local_day
from shared.pipeline.decisions import Decision

HEADS: Final = "| day | what happens | routing tells | where the referrals stand |\n| --- | --- | --- | --- |"


class Walk(Living):
    """A case of 2017 on its way; every step adds a line."""

    def __init__(self, *codes: Concern, now: datetime = AUGUST_2017, **facts: Any) -> None:
        super().__init__(*codes, terms=AGREEMENTS, now=now, **{"received_at": now, "languages": ("ar",), **facts})
        codes = tuple(concern.code for concern in self.case.facts.concerns)
        self.lines = [self._line(f"a case with {', '.join(codes)}")]

    def arrives(self, event: Event, *, by: str | None = None, time: datetime | None = None) -> Decision[RoutedCase]:
        decision = super().arrives(event, by=by, time=time)
        self.lines.append(self._line(_happened(event, by)))
        return decision

    def says(self, partner: str, reply: str, days: int = 0, **said: Any) -> None:
        """The partner writes about its newest referral."""
        self.now += timedelta(days=days)
        self.reply(reply, referral=next(r for r in reversed(self.case.referrals) if r.partner_id == partner), **said)

    def schedules(self, event: str, days: int = 0) -> None:
        """Scheduling tells something about the appointment of the newest referral."""
        self.now += timedelta(days=days)
        self.appointment(event)

    def waits(self) -> None:
        """Nobody does anything until the next clock is due."""
        assert self.case.next_due is not None
        self.tick(self.case.next_due)
        self.lines.append(self._line("a term is over"))

    def clears(self, do: Any, said: Any, what: str) -> None:
        """The office works on its newest task."""
        self.made(do(said, self.last.id, self.situation, "fd-1", self.cause(), self.case, self.now))
        self.lines.append(self._line(f"the office {what}"))

    def assigns(self, partner: str, reason: AssignmentReason) -> None:
        """Somebody of the office takes the newest task on and asks a partner."""
        self.clears(clearing.claim, clearing.Claim(), "claims the task")
        said = clearing.Assignment(partner_id=partner, reason=reason)
        self.clears(clearing.assign, said, f"asks {partner}, {reason}")

    def _line(self, what: str) -> str:
        told = ", ".join(_told(event) for event in self.decision.events if not isinstance(event, CaseProgressed))
        stands = ", ".join(f"{r.partner_id or 'office'} {r.state}" for r in self.case.referrals)
        return f"| {local_day(self.now):%-d %b} | {what} | {told} | {stands}; case {self.case.state} |"


def _happened(event: Event, by: str | None) -> str:
    if isinstance(event, CaseWithdrawn):
        return f"intake: `{_kind(type(event))}`, {event.reason}"
    if isinstance(event, AppointmentEvent):
        return f"scheduling: `{_kind(type(event))}`"
    codes = "".join(f", {value}" for name, value in event if name != "referral_id" and value is not None)
    return f"{by}: `{_kind(type(event))}`{codes}"


def _kind(event: type[Event]) -> str:
    return BY_EVENT[event].type.removeprefix("de.integrationsbuero.").removesuffix(".v1")


def _told(event: Event) -> str:
    kind = _kind(type(event))
    respond_by = getattr(event, "respond_by", None) or getattr(event, "expires_on", None)
    until = f" until {respond_by:%-d %b}" if respond_by else ""
    return f"`{kind}`{f' to {event.partner_id}' if isinstance(event, PartnerEvent) else ''}{until}"


def served() -> Walk:
    walk = Walk(Concern.DEBT)
    walk.says("schuldnerberatung", "referral.accepted", days=1)
    walk.schedules("booked")
    walk.says("schuldnerberatung", "service.started", days=7)
    walk.says(
        "schuldnerberatung", "service.paused", reason=PauseReason.WAITING_FOR_AUTHORITY, review_on=date(2017, 9, 6)
    )
    walk.waits()
    walk.says("schuldnerberatung", "service.resumed", days=1)
    walk.says("schuldnerberatung", "referral.completed", days=14, outcome=ServiceOutcome.HELPED)
    walk.says("schuldnerberatung", "referral.reopened", days=30)
    return walk


def declined() -> Walk:
    walk = Walk(Concern.GENERAL, now=MARCH_2017, case_id=case_number(7))
    walk.says("caritas", "referral.declined", days=1, reason=DeclineReason.CAPACITY)
    return walk


def overdue() -> Walk:
    walk = Walk(Concern.JOB_SEARCH)
    walk.waits()
    walk.waits()
    walk.assigns("caritas", AssignmentReason.AGREED_BY_PHONE)
    return walk


def asked_back() -> Walk:
    walk = Walk(Concern.DEBT)
    walk.says("schuldnerberatung", "clarification.requested", days=2, topic=ClarificationTopic.DOCUMENTS)
    walk.says("schuldnerberatung", "clarification.answered", days=5)
    return walk


def handed_on() -> Walk:
    walk = Walk(Concern.GENERAL, now=MARCH_2017, case_id=case_number(1))
    walk.says("caritas", "referral.accepted", days=1)
    walk.says("caritas", "referral.handed_on", days=3, reason=HandOnReason.CHANGED_NEED, to="diakonie")
    return walk


def household() -> Walk:
    care = a_concern(Concern.CHILDCARE)
    course = a_concern(Concern.INTEGRATION_COURSE).model_copy(update={"after": (care.concern_id,)})
    walk = Walk(concerns=(care, course))
    walk.says("awo", "referral.accepted", days=1)
    walk.says("awo", "service.started", days=1)
    walk.says("awo", "referral.completed", days=20, outcome=ServiceOutcome.HELPED)
    return walk


def left_to_the_office() -> Walk:
    walk = Walk(Concern.HOUSING_SEARCH, age=AgeBand.UNKNOWN)
    walk.assigns("awo", AssignmentReason.AGE_CLARIFIED)
    return walk


def without_a_legal_basis() -> Walk:
    return Walk(Concern.DEBT, legal_basis=LegalBasis(kind="none"))


def informed() -> Walk:
    return Walk(Concern.SELF_HELP)


def withdrawn() -> Walk:
    walk = Walk(Concern.DEBT, Concern.GERMAN_COURSE)
    walk.says("vhs", "referral.accepted", days=1)
    walk.withdraw(WithdrawalReason.BY_PERSON)
    return walk


def missed() -> Walk:
    walk = Walk(Concern.DEBT)
    walk.says("schuldnerberatung", "referral.accepted", days=1)
    walk.schedules("booked")
    walk.schedules("rescheduled", days=1)
    walk.schedules("missed", days=7)
    walk.says("schuldnerberatung", "service.started", days=1)
    walk.says("schuldnerberatung", "referral.failed", days=7, reason=FailureReason.UNREACHABLE)
    return walk


def unanswered() -> Walk:
    walk = Walk(Concern.DEBT)
    walk.says("schuldnerberatung", "clarification.requested", days=2, topic=ClarificationTopic.CONTACT)
    walk.waits()
    return walk


def closed_unmet() -> Walk:
    walk = Walk(Concern.DEBT, excluded_partners=("schuldnerberatung",))
    walk.clears(clearing.claim, clearing.Claim(), "claims the task")
    said = clearing.Closing(reason=ClosingReason.NO_OFFER)
    walk.clears(clearing.close, said, f"closes it, {said.reason}")
    return walk


def full() -> Walk:
    nothing = Room(CapacityStatus.NONE, report=derived_id("report"))
    rooms = {("caritas", Concern.GENERAL): nothing, ("vhs", Concern.GERMAN_COURSE): nothing}
    return Walk(Concern.GENERAL, Concern.GERMAN_COURSE, rooms=rooms, now=MARCH_2017, case_id=case_number(1))


def cancelled() -> Walk:
    walk = Walk(Concern.DEBT)
    walk.withdraw(WithdrawalReason.BY_SENDER)
    return walk


PATHS: Final[Sequence[tuple[str, Callable[[], Walk]]]] = (
    ("Accepted, served, paused, completed, taken up again", served),
    ("The appointment is moved, nobody comes, the service fails", missed),
    ("Declined: the next one is asked", declined),
    ("No answer: overdue, expired, nobody left, the office asks by name", overdue),
    ("The partner asks back; its term stands still meanwhile", asked_back),
    ("Nobody answers the partner's question", unanswered),
    ("Handed on to a partner that the agreement names as well", handed_on),
    ("A household: the course waits until childcare is settled", household),
    ("A task of the office, given to a partner once the age is known", left_to_the_office),
    ("Who is full is passed over; where all are, it is a gap", full),
    ("A wish leaves nobody over, and the office finds nobody either", closed_unmet),
    ("Nothing is passed on without a legal basis", without_a_legal_basis),
    ("An information sheet answers at once", informed),
    ("Taken back by the person", withdrawn),
    ("Taken back by the sender", cancelled),
)


def chapters() -> Iterator[str]:
    """Each path as Markdown."""
    for title, walked in PATHS:
        yield "\n".join((f"### {title}", "", HEADS, *walked().lines))
