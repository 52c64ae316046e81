"""One sentence for every event, for whoever watches the streams: codes in plain words, nothing about persons."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.contracts import BY_EVENT, Contract, Event
from shared.contracts.codes import MessageOutcome, UnplacedReason
from shared.contracts.intake import CaseAmended, CaseFacts, CaseOpened, CaseWithdrawn
from shared.contracts.notify import MessageSettled
from shared.contracts.operations import RecordSetAside
from shared.contracts.partners import CapacityReported, Reply
from shared.contracts.routing import (
    AgreementEnding,
    CaseProgressed,
    CoverageGapFound,
    PartnerEvent,
    ReferralAccepted,
    ReferralAmended,
    ReferralClosedUnmet,
    ReferralDeclined,
    ReferralHeld,
    ReferralInformed,
    ReferralOffered,
    ReferralReleased,
    ReferralRescheduled,
    ReferralScheduled,
    ReferralUnplaced,
    ReferralWithdrawn,
    ReplyRejected,
    Standing,
)
from shared.contracts.scheduling import (
    AppointmentBooked,
    AppointmentCancelled,
    AppointmentMissed,
    AppointmentRescheduled,
    AppointmentUnavailable,
)
from shared.days import LOCAL

OFFICE: Final = "the office"
TIMES: Final = f"times in UTC, of appointments in local time ({LOCAL.key})"
"""Appointments are told in the time that is on the wall."""


def sentence(event: Event) -> str:
    """What happened, without the ids that stand beside it."""
    match event:
        case CaseOpened():
            return f"case opened: {_concerns_of(event)}"
        case CaseAmended():
            return f"case amended, now: {_concerns_of(event)}"
        case CaseWithdrawn():
            return f"case withdrawn {plain(event.reason)}"
        case CaseProgressed():
            return f"case stands: {', '.join(map(_standing, event.standings)) or 'no referrals'}"
        case ReferralUnplaced(reason=UnplacedReason.OFFICE_TASK):
            return f"{_counted(len(event.concerns), 'concern')} for {OFFICE} itself"
        case ReferralUnplaced():
            return f"{_counted(len(event.concerns), 'concern')} left to {OFFICE}: {plain(event.reason)}"
        case ReferralClosedUnmet():
            return f"{_counted(len(event.concerns), 'concern')} closed by {OFFICE}: {plain(event.reason)}"
        case ReferralHeld():
            return f"{_counted(len(event.concerns), 'concern')} held back for {_counted(len(event.after), 'other')}"
        case ReferralReleased():
            return "what was waited for is settled"
        case ReferralInformed():
            return f"{_counted(len(event.concerns), 'concern')} answered by the information sheet {event.sheet}"
        case CoverageGapFound():
            language = f", language {event.language}" if event.language else ""
            return f"nobody takes {plain(event.code)} in {event.municipality}{language}: {plain(event.reason)}"
        case AgreementEnding(days_left=0):
            return f"the agreement {event.agreement} ended on {event.valid_to}"
        case AgreementEnding():
            left = _counted(event.days_left, "day")
            return f"the agreement {event.agreement} ends on {event.valid_to}, in {left}, and no other follows"
        case ReferralOffered():
            codes = _listed(concern.code for concern in event.concerns)
            return f"{event.partner_id} is asked to take {codes}, answer by {event.respond_by}"
        case ReferralAccepted():
            return f"{event.partner_id} takes {_listed(event.codes)}"
        case ReferralDeclined():
            return f"{event.partner_id} declines: {plain(event.reason)}"
        case ReferralRescheduled():
            return f"{event.partner_id} is told of the new appointment on {_local(event.starts_at)}"
        case ReferralScheduled():
            return f"{event.partner_id} is told of the appointment on {_local(event.starts_at)}"
        case ReferralWithdrawn():
            return f"{event.partner_id} is told that the case was withdrawn {plain(event.reason)}"
        case ReferralAmended():
            return f"{event.partner_id} keeps {_counted(len(event.concerns), 'concern')} of the referral"
        case PartnerEvent():
            return f"{event.partner_id}: {_plainly(event)}"
        case ReplyRejected():
            reply = f"the reply in partition {event.partition}, offset {event.offset}"
            return f"{reply} of {event.partner_id} had no effect: {plain(event.reason)}"
        case Reply():
            return f"the partner answers: {_plainly(event).removeprefix('reply ')}"
        case CapacityReported():
            return f"the partner tells: {_plainly(event)}"
        case AppointmentBooked():
            where = f"{event.minutes} minutes, {plain(event.mode)}"
            return f"appointment with {event.partner_id} on {_local(event.starts_at)} ({where})"
        case AppointmentRescheduled():
            return f"appointment with {event.partner_id} moved to {_local(event.starts_at)}"
        case AppointmentMissed():
            return f"nobody came to the appointment with {event.partner_id}"
        case AppointmentCancelled():
            return f"appointment with {event.partner_id} cancelled: {plain(event.reason)}"
        case AppointmentUnavailable():
            return f"no free appointment with {event.partner_id}"
        case MessageSettled(outcome=MessageOutcome.NO_CHANNEL):
            return "no message: no mail address that may be used"
        case MessageSettled():
            channel = f" by {plain(event.channel)}" if event.channel else ""
            return f"message{channel}{f' in {event.language}' if event.language else ''}: {plain(event.outcome)}"
        case RecordSetAside():
            place = f"{event.topic}, partition {event.partition}, offset {event.offset}"
            return f"{event.service} set a record aside: {plain(event.reason)} ({place})"
        case _:
            raise LookupError(f"no sentence for {type(event).__name__}")


def plain(code: StrEnum) -> str:
    """A code as words."""
    return code.value.replace("_", " ")


def _plainly(event: Event) -> str:
    """The words of an event's type, and its codes, days and numbers."""
    type_ = BY_EVENT[type(event)].type.removeprefix(Contract.PREFIX).removesuffix(".v1")
    told = [type_.replace(".", " ").replace("-", " ")]
    for name, value in event:
        if isinstance(value, StrEnum):
            told.append(plain(value))
        elif value is not None and not name.endswith("_id"):
            told.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(told)


def _concerns_of(case: CaseFacts) -> str:
    return _listed(concern.code for concern in case.concerns)


def _standing(standing: Standing) -> str:
    return f"{plain(standing.state)} with {standing.partner_id or OFFICE}"


def _listed(codes: Iterable[StrEnum]) -> str:
    return ", ".join(map(plain, codes)) or "nothing"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _local(moment: datetime) -> str:
    return moment.astimezone(LOCAL).strftime("%Y-%m-%d %H:%M")
