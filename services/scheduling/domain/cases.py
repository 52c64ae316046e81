"""A case as scheduling knows it: its appointments, how one is booked and how it is given back."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import ConfigDict, Field

from services.scheduling.domain.slots import Calendar, Slot
from shared.contracts.base import AppointmentId, Minutes, PartnerId, PersonId, PlaceId, ReferralId, derived_id
from shared.contracts.codes import AppointmentMode, CancellationReason
from shared.contracts.routing import PartnerEvent, ReferralAccepted
from shared.contracts.scheduling import AppointmentBooked, AppointmentCancelled, AppointmentUnavailable
from shared.pipeline.decisions import Aggregate, Decision, Kept


class Appointment(Kept):
    """What was agreed, also where the resource table says something else by now. `starts_at` in UTC.

    One that was taken over from what was told has no resource and seat until the repository finds it a free one, and
    stands without where none is left.
    """

    id: AppointmentId
    referral_id: ReferralId
    partner_id: PartnerId
    person_id: PersonId
    resource_id: str | None = None
    starts_at: datetime
    seat: int | None = None
    minutes: Minutes
    place: PlaceId
    mode: AppointmentMode
    cancelled: bool = False


class ScheduledCase(Aggregate):
    """The appointments of one case.

    `calendar` and `allocated` are what the repository brings along and are not stored: the free slots of this attempt,
    and the appointments whose slots the store holds for this case.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    appointments: tuple[Appointment, ...] = ()
    calendar: Calendar = Field(default_factory=Calendar, exclude=True, repr=False)
    allocated: frozenset[AppointmentId] = Field(default=frozenset(), exclude=True, repr=False)

    @property
    def standing(self) -> dict[AppointmentId, Appointment]:
        """The appointments that hold a slot."""
        return {appointment.id: appointment for appointment in self.appointments if not appointment.cancelled}


def book(accepted: ReferralAccepted, case: ScheduledCase, *, cause_id: str) -> Decision[ScheduledCase]:
    """Take the partner's first free slot. A referral gets one appointment, however often its acceptance is told.

    Needs and languages do not choose the counsellor yet.
    """
    if any(appointment.referral_id == accepted.referral_id for appointment in case.appointments):
        return Decision()
    slot = case.calendar.draw(accepted.partner_id)
    if slot is None:
        return Decision(events=(_unavailable(accepted),))
    appointment = _appointment(accepted, slot, derived_id(cause_id, "appointment"))
    state = case.model_copy(update={"appointments": (*case.appointments, appointment)})
    return Decision(state, (_booked(accepted, appointment),))


def give_back(ended: PartnerEvent, case: ScheduledCase, *, now: datetime) -> Decision[ScheduledCase]:
    """Give back what a referral that ended holds from `now` on; what began before is history."""
    free = [
        appointment
        for appointment in case.standing.values()
        if appointment.referral_id == ended.referral_id and appointment.starts_at > now
    ]
    if not free:
        return Decision()
    return Decision(_without(case, free), tuple(_cancelled(case.id, appointment) for appointment in free))


def adopt(booked: AppointmentBooked, case: ScheduledCase) -> Decision[ScheduledCase]:
    """An appointment that was told stands, whatever would be booked now."""
    if any(appointment.id == booked.appointment_id for appointment in case.appointments):
        return Decision()
    appointment = Appointment(
        id=booked.appointment_id,
        referral_id=booked.referral_id,
        partner_id=booked.partner_id,
        person_id=booked.person_id,
        starts_at=booked.starts_at,
        minutes=booked.minutes,
        place=booked.place,
        mode=booked.mode,
    )
    return Decision(case.model_copy(update={"appointments": (*case.appointments, appointment)}))


def adopt_cancelled(cancelled: AppointmentCancelled, case: ScheduledCase) -> Decision[ScheduledCase]:
    """An appointment that was told to be cancelled holds no slot."""
    appointment = case.standing.get(cancelled.appointment_id)
    return Decision(_without(case, [appointment])) if appointment else Decision()


def _without(case: ScheduledCase, ended: Sequence[Appointment]) -> ScheduledCase:
    appointments = tuple(
        appointment.model_copy(update={"cancelled": True}) if appointment in ended else appointment
        for appointment in case.appointments
    )
    return case.model_copy(update={"appointments": appointments})


def _appointment(accepted: ReferralAccepted, slot: Slot, id_: AppointmentId) -> Appointment:
    return Appointment(
        id=id_,
        referral_id=accepted.referral_id,
        partner_id=accepted.partner_id,
        person_id=accepted.person_id,
        resource_id=slot.resource.id,
        starts_at=slot.starts_at,
        seat=slot.seat,
        minutes=slot.resource.minutes,
        place=slot.resource.place,
        mode=slot.resource.mode,
    )


def _booked(accepted: ReferralAccepted, appointment: Appointment) -> AppointmentBooked:
    return AppointmentBooked(
        case_id=accepted.case_id,
        referral_id=accepted.referral_id,
        partner_id=accepted.partner_id,
        appointment_id=appointment.id,
        person_id=accepted.person_id,
        starts_at=appointment.starts_at,
        minutes=appointment.minutes,
        place=appointment.place,
        mode=appointment.mode,
        languages=accepted.languages,
    )


def _unavailable(accepted: ReferralAccepted) -> AppointmentUnavailable:
    return AppointmentUnavailable(
        case_id=accepted.case_id, referral_id=accepted.referral_id, partner_id=accepted.partner_id
    )


def _cancelled(case_id: str, appointment: Appointment) -> AppointmentCancelled:
    return AppointmentCancelled(
        case_id=case_id,
        referral_id=appointment.referral_id,
        partner_id=appointment.partner_id,
        appointment_id=appointment.id,
        person_id=appointment.person_id,
        reason=CancellationReason.WITHDRAWN,
    )
