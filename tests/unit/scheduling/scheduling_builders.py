"""Resources, referrals and calendars for the tests of scheduling; each builder names only what a test is about."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from services.scheduling.domain.cases import Appointment, ScheduledCase, book
from services.scheduling.domain.resources import Resource
from services.scheduling.domain.slots import Calendar, Search
from services.scheduling.domain.timetable import Timetable
from shared.contracts.base import derived_id
from shared.contracts.codes import Concern, WithdrawalReason
from shared.contracts.routing import ReferralAccepted, ReferralWithdrawn

MONDAY: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
WORKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday")


def a_resource(id_: str = "awo-1", **facts: Any) -> Resource:
    """A counsellor of AWO with two appointments each working morning, at nine and at ten local time."""
    defaults = {
        "id": id_,
        "partner": "awo",
        "place": "integrationsbuero",
        "mode": "on_site",
        "minutes": 60,
        "hours": dict.fromkeys(WORKDAYS, ("09:00-11:00",)),
    }
    return Resource.model_validate(defaults | facts)


def a_timetable(*resources: Resource, lead_days: int = 1, horizon_days: int = 14) -> Timetable:
    """What these resources offer from the next working day on, for two weeks."""
    return Timetable(resources or (a_resource(),), lead_days=lead_days, horizon_days=horizon_days)


def a_calendar(timetable: Timetable, taken: Iterable[Appointment] = (), *, now: datetime = MONDAY) -> Calendar:
    """The free slots with these appointments standing."""
    seats: dict[tuple[str, datetime], set[int]] = defaultdict(set)
    for appointment in taken:
        seats[appointment.resource_id, appointment.starts_at].add(appointment.seat)
    openings = timetable.openings(now)
    return Calendar({partner: Search(openings[partner], None, 1).free(seats, 0) for partner in openings})


def a_case(number: int = 1, *appointments: Appointment, calendar: Calendar | None = None) -> ScheduledCase:
    """The `number`-th case, with what its repository brings along."""
    return ScheduledCase(
        id=derived_id("case", str(number)),
        appointments=appointments,
        calendar=calendar or a_calendar(a_timetable(), appointments),
    )


def accepted(number: int = 1, *, by: str = "awo") -> ReferralAccepted:
    """A partner accepted the referral of the `number`-th case."""
    return ReferralAccepted(
        case_id=derived_id("case", str(number)),
        referral_id=derived_id("referral", str(number), by),
        partner_id=by,
        person_id=derived_id("person", str(number)),
        codes=(Concern.GERMAN_COURSE,),
        languages=("ar",),
    )


def withdrawn(number: int = 1, *, of: str = "awo") -> ReferralWithdrawn:
    """The `number`-th case was taken back."""
    offer = accepted(number, by=of)
    return ReferralWithdrawn(
        case_id=offer.case_id, referral_id=offer.referral_id, partner_id=of, reason=WithdrawalReason.BY_PERSON
    )


def booked_in_turn(calendar: Calendar, numbers: Sequence[int]) -> list[Appointment]:
    """The appointments that these cases get in one attempt."""
    decisions = [
        book(accepted(number), a_case(number, calendar=calendar), cause_id=derived_id("cause", str(number)))
        for number in numbers
    ]
    return [decision.state.appointments[0] for decision in decisions if decision.state]
