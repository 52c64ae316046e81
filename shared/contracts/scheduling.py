"""What scheduling publishes on `scheduling.appointments.v1`."""

from shared.contracts.base import (
    AppointmentId,
    CaseId,
    Event,
    Instant,
    Language,
    Minutes,
    PartnerId,
    PersonId,
    PlaceId,
    ReferralId,
)
from shared.contracts.codes import AppointmentMode, CancellationReason

TOPIC = "scheduling.appointments.v1"


class AppointmentEvent(Event):
    """Which appointment, of which referral, for whom."""

    case_id: CaseId
    referral_id: ReferralId
    partner_id: PartnerId
    appointment_id: AppointmentId
    person_id: PersonId


class AppointmentBooked(AppointmentEvent):
    """A slot was taken. `starts_at` in UTC; `languages` in the person's order of preference."""

    starts_at: Instant
    minutes: Minutes
    place: PlaceId
    mode: AppointmentMode
    languages: tuple[Language, ...]


class AppointmentCancelled(AppointmentEvent):
    """The slot is free again."""

    reason: CancellationReason


class AppointmentRescheduled(AppointmentEvent):
    """Another slot took the place of the one before; `appointment_id` names the new one."""

    replaces: AppointmentId
    starts_at: Instant
    minutes: Minutes
    place: PlaceId
    mode: AppointmentMode
    languages: tuple[Language, ...]


class AppointmentMissed(AppointmentEvent):
    """Nobody came."""


class AppointmentUnavailable(Event):
    """No slot is free within the horizon; the referral stays accepted and the office sees it."""

    case_id: CaseId
    referral_id: ReferralId
    partner_id: PartnerId
