"""Appointments, messages and persons for the tests of notify; each builder names only what a test is about."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.notify.domain import Lease, Message, NotifiedCase, record, take_up
from services.notify.persons import Person
from shared.contracts.base import derived_id
from shared.contracts.codes import CancellationReason
from shared.contracts.scheduling import AppointmentBooked, AppointmentCancelled
from shared.envelope import Cause

NOW: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CAUSE: Final = Cause(id=derived_id("cause"), correlation_id=derived_id("correlation"), traceparent="")
ME: Final = derived_id("me")


def an_appointment(name: str = "", **facts: Any) -> AppointmentBooked:
    """An hour in the office, on Tuesday 24 November 2026 at half past two local time."""
    defaults: dict[str, Any] = {
        "case_id": derived_id("case"),
        "referral_id": derived_id("referral", name),
        "partner_id": "schuldnerberatung",
        "appointment_id": derived_id("appointment", name),
        "person_id": derived_id("person"),
        "starts_at": datetime(2026, 11, 24, 13, 30, tzinfo=UTC),
        "minutes": 60,
        "place": "integrationsbuero",
        "mode": "on_site",
        "languages": ("ar",),
    }
    return AppointmentBooked(**defaults | facts)


def cancelled(name: str = "") -> AppointmentCancelled:
    """The appointment of that name was called off."""
    booked = an_appointment(name)
    return AppointmentCancelled(
        **booked.model_dump(include={"case_id", "referral_id", "partner_id", "appointment_id", "person_id"}),
        reason=CancellationReason.WITHDRAWN,
    )


def a_person(**facts: Any) -> Person:
    """Somebody who may be reached by email."""
    defaults: dict[str, Any] = {
        "person_id": derived_id("person"),
        "given_name": "Özlem",
        "family_name": "Işık",
        "email": "oezlem@example.org",
        "may_contact_by": ("email",),
    }
    return Person(**defaults | facts)


def a_lease(*, owner: str = ME, seconds: int = 60) -> Lease:
    """A lease from `NOW` on."""
    return Lease(owner=owner, until=NOW + timedelta(seconds=seconds))


def pending(name: str = "", **facts: Any) -> NotifiedCase:
    """A case with one message to be sent."""
    case = record(an_appointment(name, **facts), None, cause=CAUSE, now=NOW).state
    assert case
    return case


def sending(*, owner: str = ME) -> NotifiedCase:
    """A case whose one message was taken up by its owner."""
    case = pending()
    taken = take_up(case, NOW, message_id=the_message(case).id, lease=a_lease(owner=owner)).state
    assert taken
    return taken


def the_message(case: NotifiedCase | None) -> Message:
    """The only message of the case."""
    assert case
    [message] = case.messages
    return message
