"""The worked examples of docs/agreement.md: each path of a referral, walked by the real decisions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final

from routing_builders import AGREEMENTS, AUGUST_2017, MARCH_2017, PERSON, a_case, a_concern, case_number, received

from services.routing.domain import clearing, decisions, replies
from services.routing.domain.case import Referral, RoutedCase
from services.routing.domain.situation import Room, Situation
from services.routing.domain.ticking import tick
from shared.contracts import BY_EVENT, Event
from shared.contracts.base import derived_id
from shared.contracts.codes import (
    AgeBand,
    AppointmentMode,
    AssignmentReason,
    CancellationReason,
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
from shared.contracts.intake import CaseOpened, CaseWithdrawn, LegalBasis
from shared.contracts.partners import (
    Reply,
    ReplyAccepted,
    ReplyClarificationAnswered,
    ReplyClarificationRequested,
    ReplyCompleted,
    ReplyDeclined,
    ReplyFailed,
    ReplyHandedOn,
    ReplyPaused,
    ReplyReopened,
    ReplyResumed,
    ReplyStarted,
)
from shared.contracts.routing import CaseProgressed, PartnerEvent
from shared.contracts.scheduling import (
    AppointmentBooked,
    AppointmentEvent,
    AppointmentMissed,
    AppointmentRescheduled,
)
from shared.days import local_day
from shared.pipeline.decisions import Decision

HEADS: Final = "| day | what happens | routing tells | where the referrals stand |\n| --- | --- | --- | --- |"
_SCHEDULED: Final[dict[type[AppointmentEvent], Callable[..., Decision[RoutedCase]]]] = {
    AppointmentBooked: decisions.schedule,
    AppointmentRescheduled: decisions.reschedule,
    AppointmentMissed: decisions.unschedule,
}
_DECIDES: Final[dict[type[Reply], Callable[..., Decision[RoutedCase]]]] = {
    ReplyAccepted: replies.accept,
    ReplyDeclined: replies.decline,
    ReplyClarificationRequested: replies.ask_back,
    ReplyClarificationAnswered: replies.answer,
    ReplyStarted: replies.start,
    ReplyPaused: replies.pause,
    ReplyResumed: replies.resume,
    ReplyHandedOn: replies.hand_on,
    ReplyCompleted: replies.complete,
    ReplyFailed: replies.fail,
    ReplyReopened: replies.reopen,
}


@dataclass
class Walk:
    """One case on its way; every step adds a line."""

    now: datetime = AUGUST_2017
    case: RoutedCase | None = None
    lines: list[str] = field(default_factory=list)
    seen: Situation = field(default_factory=lambda: Situation(AGREEMENTS))

    def opens(self, facts: CaseOpened) -> None:
        codes = ", ".join(concern.code for concern in facts.concerns)
        self._step(f"a case with {codes}", partial(decisions.route, self.seen, received(facts)))

    def says(self, partner: str, reply: type[Reply], days: int = 0, **said: Any) -> None:
        """The partner writes about its newest referral."""
        self.now += timedelta(days=days)
        event = reply(referral_id=self._of(partner).id, **said)
        codes = "".join(f", {value}" for name, value in event if name != "referral_id" and value is not None)
        arrived = received(event, by=partner, cause=str(len(self.lines)))
        self._step(f"{partner}: `{_kind(reply)}`{codes}", partial(_DECIDES[reply], self.seen, arrived))

    def waits(self) -> None:
        """Nobody does anything until the next clock is due."""
        assert self.case is not None
        assert self.case.next_due is not None
        self.now = self.case.next_due
        self._step("a term is over", partial(tick, self.seen, derived_id(str(len(self.lines)))))

    def schedules(self, partner: str, event: type[AppointmentEvent] = AppointmentBooked, days: int = 0) -> None:
        """Scheduling tells something about the appointment of the partner's newest referral."""
        self.now += timedelta(days=days)
        referral, case = self._of(partner), self.case
        assert case is not None
        slot: dict[str, Any] = {
            "starts_at": self.now + timedelta(days=7),
            "minutes": 30,
            "place": "integrationsbuero",
            "mode": AppointmentMode.ON_SITE,
            "languages": ("ar",),
            "reason": CancellationReason.WITHDRAWN,
            "replaces": referral.booking.appointment_id if referral.booking else None,
        }
        appointment = derived_id("appointment", str(len(self.lines)))
        told = event(
            case_id=case.id,
            referral_id=referral.id,
            partner_id=partner,
            appointment_id=referral.booking.appointment_id
            if event is AppointmentMissed and referral.booking
            else appointment,
            person_id=PERSON,
            **{name: value for name, value in slot.items() if name in event.model_fields},
        )
        self._step(f"scheduling: `{_kind(event)}`", partial(_SCHEDULED[event], self.seen, received(told)))

    def clears(self, do: Any, said: Any, what: str) -> None:
        """The office works on its newest task."""
        assert self.case is not None
        task = self.case.referrals[-1].id
        cause = derived_id("office", str(len(self.lines)))
        self._step(f"the office {what}", partial(do, said, task, self.seen, "fd-1", cause))

    def assigns(self, partner: str, reason: AssignmentReason) -> None:
        """Somebody of the office takes the newest task on and asks a partner."""
        self.clears(clearing.claim, clearing.Claim(), "claims the task")
        said = clearing.Assignment(partner_id=partner, reason=reason)
        self.clears(clearing.assign, said, f"asks {partner}, {reason}")

    def is_taken_back(self, reason: WithdrawalReason) -> None:
        assert self.case is not None
        event = CaseWithdrawn(case_id=self.case.id, reason=reason)
        self._step(f"intake: `case.withdrawn`, {reason}", partial(decisions.withdraw, self.seen, received(event)))

    def _of(self, partner: str) -> Referral:
        assert self.case is not None
        return next(referral for referral in reversed(self.case.referrals) if referral.partner_id == partner)

    def _step(self, what: str, decide: Callable[..., Decision[RoutedCase]]) -> None:
        decision = decide(self.case, self.now)
        self.case = decision.state or self.case
        assert self.case is not None
        told = ", ".join(_told(event) for event in decision.events if not isinstance(event, CaseProgressed))
        stands = ", ".join(f"{r.partner_id or 'office'} {r.state}" for r in self.case.referrals)
        self.lines.append(f"| {local_day(self.now):%-d %b} | {what} | {told} | {stands}; case {self.case.state} |")


def _kind(event: type[Event]) -> str:
    return BY_EVENT[event].type.removeprefix("de.integrationsbuero.").removesuffix(".v1")


def _told(event: Event) -> str:
    kind = _kind(type(event))
    respond_by = getattr(event, "respond_by", None) or getattr(event, "expires_on", None)
    until = f" until {respond_by:%-d %b}" if respond_by else ""
    return f"`{kind}`{f' to {event.partner_id}' if isinstance(event, PartnerEvent) else ''}{until}"


def served() -> Walk:
    walk = Walk()
    walk.opens(a_case(Concern.DEBT, received_at=AUGUST_2017))
    walk.says("schuldnerberatung", ReplyAccepted, days=1)
    walk.schedules("schuldnerberatung")
    walk.says("schuldnerberatung", ReplyStarted, days=7)
    walk.says("schuldnerberatung", ReplyPaused, reason=PauseReason.WAITING_FOR_AUTHORITY, review_on=date(2017, 9, 6))
    walk.waits()
    walk.says("schuldnerberatung", ReplyResumed, days=1)
    walk.says("schuldnerberatung", ReplyCompleted, days=14, outcome=ServiceOutcome.HELPED)
    walk.says("schuldnerberatung", ReplyReopened, days=30)
    return walk


def declined() -> Walk:
    walk = Walk(MARCH_2017)
    walk.opens(a_case(Concern.GENERAL, case_id=case_number(7)))
    walk.says("caritas", ReplyDeclined, days=1, reason=DeclineReason.CAPACITY)
    return walk


def overdue() -> Walk:
    walk = Walk()
    walk.opens(a_case(Concern.JOB_SEARCH, received_at=AUGUST_2017))
    walk.waits()
    walk.waits()
    walk.assigns("caritas", AssignmentReason.AGREED_BY_PHONE)
    return walk


def asked_back() -> Walk:
    walk = Walk()
    walk.opens(a_case(Concern.DEBT, received_at=AUGUST_2017))
    walk.says("schuldnerberatung", ReplyClarificationRequested, days=2, topic=ClarificationTopic.DOCUMENTS)
    walk.says("schuldnerberatung", ReplyClarificationAnswered, days=5)
    return walk


def handed_on() -> Walk:
    walk = Walk(MARCH_2017)
    walk.opens(a_case(Concern.GENERAL, case_id=case_number(1)))
    walk.says("caritas", ReplyAccepted, days=1)
    walk.says("caritas", ReplyHandedOn, days=3, reason=HandOnReason.CHANGED_NEED, to="diakonie")
    return walk


def household() -> Walk:
    care = a_concern(Concern.CHILDCARE)
    course = a_concern(Concern.INTEGRATION_COURSE).model_copy(update={"after": (care.concern_id,)})
    walk = Walk()
    walk.opens(a_case(received_at=AUGUST_2017, concerns=(care, course)))
    walk.says("awo", ReplyAccepted, days=1)
    walk.says("awo", ReplyStarted, days=1)
    walk.says("awo", ReplyCompleted, days=20, outcome=ServiceOutcome.HELPED)
    return walk


def left_to_the_office() -> Walk:
    walk = Walk()
    walk.opens(a_case(Concern.HOUSING_SEARCH, age=AgeBand.UNKNOWN, received_at=AUGUST_2017))
    walk.assigns("awo", AssignmentReason.AGE_CLARIFIED)
    return walk


def without_a_legal_basis() -> Walk:
    walk = Walk()
    walk.opens(a_case(Concern.DEBT, received_at=AUGUST_2017, legal_basis=LegalBasis(kind="none")))
    return walk


def informed() -> Walk:
    walk = Walk()
    walk.opens(a_case(Concern.SELF_HELP, received_at=AUGUST_2017))
    return walk


def withdrawn() -> Walk:
    walk = Walk()
    walk.opens(a_case(Concern.DEBT, Concern.GERMAN_COURSE, received_at=AUGUST_2017))
    walk.says("vhs", ReplyAccepted, days=1)
    walk.is_taken_back(WithdrawalReason.BY_PERSON)
    return walk


def missed() -> Walk:
    walk = Walk()
    walk.opens(a_case(Concern.DEBT, received_at=AUGUST_2017))
    walk.says("schuldnerberatung", ReplyAccepted, days=1)
    walk.schedules("schuldnerberatung")
    walk.schedules("schuldnerberatung", AppointmentRescheduled, days=1)
    walk.schedules("schuldnerberatung", AppointmentMissed, days=7)
    walk.says("schuldnerberatung", ReplyStarted, days=1)
    walk.says("schuldnerberatung", ReplyFailed, days=7, reason=FailureReason.UNREACHABLE)
    return walk


def unanswered() -> Walk:
    walk = Walk()
    walk.opens(a_case(Concern.DEBT, received_at=AUGUST_2017))
    walk.says("schuldnerberatung", ReplyClarificationRequested, days=2, topic=ClarificationTopic.CONTACT)
    walk.waits()
    return walk


def closed_unmet() -> Walk:
    walk = Walk()
    walk.opens(a_case(Concern.DEBT, received_at=AUGUST_2017, excluded_partners=("schuldnerberatung",)))
    walk.clears(clearing.claim, clearing.Claim(), "claims the task")
    said = clearing.Closing(reason=ClosingReason.NO_OFFER)
    walk.clears(clearing.close, said, f"closes it, {said.reason}")
    return walk


def full() -> Walk:
    nothing = Room(CapacityStatus.NONE, report=derived_id("report"))
    seen = Situation(AGREEMENTS, {("caritas", Concern.GENERAL): nothing, ("vhs", Concern.GERMAN_COURSE): nothing})
    walk = Walk(MARCH_2017, seen=seen)
    walk.opens(a_case(Concern.GENERAL, Concern.GERMAN_COURSE, case_id=case_number(1)))
    return walk


def cancelled() -> Walk:
    walk = Walk()
    walk.opens(a_case(Concern.DEBT, received_at=AUGUST_2017))
    walk.is_taken_back(WithdrawalReason.BY_SENDER)
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
