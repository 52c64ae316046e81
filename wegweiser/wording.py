"""One sentence for every event, for whoever watches the streams: codes in plain words, nothing about persons."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.contracts import Event
from shared.contracts.codes import MessageOutcome, UnplacedReason
from shared.contracts.intake import CaseAmended, CaseFacts, CaseOpened, CaseWithdrawn
from shared.contracts.notify import MessageSettled
from shared.contracts.operations import RecordSetAside
from shared.contracts.partners import ReplyAccepted, ReplyDeclined
from shared.contracts.routing import (
    CaseProgressed,
    ReferralAccepted,
    ReferralDeclined,
    ReferralOffered,
    ReferralScheduled,
    ReferralUnplaced,
    ReferralWithdrawn,
    ReplyRejected,
    Standing,
)
from shared.contracts.scheduling import AppointmentBooked, AppointmentCancelled, AppointmentUnavailable
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
        case ReferralOffered():
            codes = _listed(concern.code for concern in event.concerns)
            return f"{event.partner_id} is asked to take {codes}, answer by {event.respond_by}"
        case ReferralAccepted():
            return f"{event.partner_id} takes {_listed(event.codes)}"
        case ReferralDeclined():
            return f"{event.partner_id} declines: {plain(event.reason)}"
        case ReferralScheduled():
            return f"{event.partner_id} is told of the appointment on {_local(event.starts_at)}"
        case ReferralWithdrawn():
            return f"{event.partner_id} is told that the case was withdrawn {plain(event.reason)}"
        case ReplyRejected():
            reply = f"the reply in partition {event.partition}, offset {event.offset}"
            return f"{reply} of {event.partner_id} had no effect: {plain(event.reason)}"
        case ReplyAccepted():
            return "the partner answers: accepted"
        case ReplyDeclined():
            return f"the partner answers: declined, {plain(event.reason)}"
        case AppointmentBooked():
            where = f"{event.minutes} minutes, {plain(event.mode)}"
            return f"appointment with {event.partner_id} on {_local(event.starts_at)} ({where})"
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
