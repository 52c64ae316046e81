"""The registry of contracts: every event that may travel, its CloudEvents type, topic and key.

Schemas, AsyncAPI documents, encoding and decoding are all made from this one list.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shared.contracts import intake, notify, operations, partners, routing, scheduling
from shared.contracts.base import Contract, Event

_PREFIX = Contract.PREFIX

CONTRACTS: Final[tuple[Contract, ...]] = (
    Contract(intake.CaseOpened, _PREFIX + "case.opened.v1", intake.TOPIC, "case_id", "intake"),
    Contract(intake.CaseAmended, _PREFIX + "case.amended.v1", intake.TOPIC, "case_id", "intake"),
    Contract(intake.CaseWithdrawn, _PREFIX + "case.withdrawn.v1", intake.TOPIC, "case_id", "intake"),
    Contract(routing.CaseProgressed, _PREFIX + "case.progressed.v1", routing.TOPIC, "case_id", "routing"),
    Contract(routing.ReferralUnplaced, _PREFIX + "referral.unplaced.v1", routing.TOPIC, "case_id", "routing"),
    Contract(routing.ReferralOffered, _PREFIX + "referral.offered.v1", routing.PARTNER_TOPIC, "referral_id", "routing"),
    Contract(
        routing.ReferralAccepted, _PREFIX + "referral.accepted.v1", routing.PARTNER_TOPIC, "referral_id", "routing"
    ),
    Contract(
        routing.ReferralDeclined, _PREFIX + "referral.declined.v1", routing.PARTNER_TOPIC, "referral_id", "routing"
    ),
    Contract(
        routing.ReferralScheduled, _PREFIX + "referral.scheduled.v1", routing.PARTNER_TOPIC, "referral_id", "routing"
    ),
    Contract(
        routing.ReferralWithdrawn, _PREFIX + "referral.withdrawn.v1", routing.PARTNER_TOPIC, "referral_id", "routing"
    ),
    Contract(
        routing.ReplyRejected,
        _PREFIX + "reply.rejected.v1",
        routing.PARTNER_TOPIC,
        "rejection_id",
        "routing",
        apart=True,
    ),
    Contract(partners.ReplyAccepted, _PREFIX + "reply.accepted.v1", partners.TOPIC, "referral_id", "partner"),
    Contract(partners.ReplyDeclined, _PREFIX + "reply.declined.v1", partners.TOPIC, "referral_id", "partner"),
    Contract(
        scheduling.AppointmentBooked, _PREFIX + "appointment.booked.v1", scheduling.TOPIC, "case_id", "scheduling"
    ),
    Contract(
        scheduling.AppointmentCancelled, _PREFIX + "appointment.cancelled.v1", scheduling.TOPIC, "case_id", "scheduling"
    ),
    Contract(
        scheduling.AppointmentUnavailable,
        _PREFIX + "appointment.unavailable.v1",
        scheduling.TOPIC,
        "case_id",
        "scheduling",
    ),
    Contract(notify.MessageSettled, _PREFIX + "message.settled.v1", notify.TOPIC, "case_id", "notify"),
    Contract(
        operations.RecordSetAside,
        _PREFIX + "record.set-aside.v1",
        operations.TOPIC,
        "original_key",
        "every service",
        apart=True,
    ),
)

BY_TYPE: Final[Mapping[str, Contract]] = MappingProxyType({contract.type: contract for contract in CONTRACTS})
BY_EVENT: Final[Mapping[type[Event], Contract]] = MappingProxyType({contract.event: contract for contract in CONTRACTS})

__all__ = ["BY_EVENT", "BY_TYPE", "CONTRACTS", "Contract", "Event"]
