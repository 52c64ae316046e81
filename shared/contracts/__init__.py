"""The registry of contracts: every event that may travel, its CloudEvents type, topic and key.

Schemas, AsyncAPI documents, encoding and decoding are all made from this one list.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Final

from shared.contracts import intake, notify, operations, partners, routing, scheduling
from shared.contracts.base import Contract, Event


def _about_cases(publisher: str, module: ModuleType, types: Mapping[type[Event], str]) -> Iterator[Contract]:
    """Events that are told under their case."""
    for event, type_ in types.items():
        yield Contract(event, f"{Contract.PREFIX}{type_}.v1", module.TOPIC, "case_id", publisher)


def _about_referrals(publisher: str, topic: str, types: Mapping[type[Event], str]) -> Iterator[Contract]:
    """Events on a partner's own topics, told under their referral."""
    for event, type_ in types.items():
        yield Contract(event, f"{Contract.PREFIX}{type_}.v1", topic, "referral_id", publisher)


CONTRACTS: Final[tuple[Contract, ...]] = (
    *_about_cases(
        "intake",
        intake,
        {
            intake.CaseOpened: "case.opened",
            intake.CaseAmended: "case.amended",
            intake.CaseWithdrawn: "case.withdrawn",
        },
    ),
    *_about_cases(
        "routing",
        routing,
        {
            routing.CaseProgressed: "case.progressed",
            routing.ReferralUnplaced: "referral.unplaced",
            routing.ReferralClosedUnmet: "referral.closed-unmet",
            routing.ReferralHeld: "referral.held",
            routing.ReferralReleased: "referral.released",
            routing.ReferralInformed: "referral.informed",
        },
    ),
    *_about_referrals(
        "routing",
        routing.PARTNER_TOPIC,
        {
            routing.ReferralOffered: "referral.offered",
            routing.ReferralOverdue: "referral.overdue",
            routing.ReferralExpired: "referral.expired",
            routing.ClarificationRequested: "clarification.requested",
            routing.ClarificationAnswered: "clarification.answered",
            routing.ClarificationExpired: "clarification.expired",
            routing.ReferralAccepted: "referral.accepted",
            routing.ReferralDeclined: "referral.declined",
            routing.ReferralScheduled: "referral.scheduled",
            routing.ReferralRescheduled: "referral.rescheduled",
            routing.ReferralUnscheduled: "referral.unscheduled",
            routing.ServiceStarted: "service.started",
            routing.ServicePaused: "service.paused",
            routing.ServiceReviewDue: "service.review-due",
            routing.ServiceResumed: "service.resumed",
            routing.ReferralHandedOn: "referral.handed-on",
            routing.ReferralCompleted: "referral.completed",
            routing.ReferralFailed: "referral.failed",
            routing.ReferralReopened: "referral.reopened",
            routing.ReferralAmended: "referral.amended",
            routing.ReferralWithdrawn: "referral.withdrawn",
            routing.ReferralCancelled: "referral.cancelled",
        },
    ),
    Contract(
        routing.ReplyRejected,
        f"{Contract.PREFIX}reply.rejected.v1",
        routing.PARTNER_TOPIC,
        "rejection_id",
        "routing",
        apart=True,
    ),
    Contract(
        routing.CoverageGapFound,
        f"{Contract.PREFIX}coverage.gap-found.v1",
        routing.ALERTS,
        "gap_id",
        "routing",
        apart=True,
    ),
    Contract(
        routing.AgreementEnding,
        f"{Contract.PREFIX}agreement.ending.v1",
        routing.ALERTS,
        "agreement",
        "routing",
        apart=True,
    ),
    *_about_referrals(
        "partner",
        partners.TOPIC,
        {
            partners.ReplyAccepted: "reply.accepted",
            partners.ReplyDeclined: "reply.declined",
            partners.ReplyClarificationRequested: "reply.clarification-requested",
            partners.ReplyClarificationAnswered: "reply.clarification-answered",
            partners.ReplyStarted: "reply.started",
            partners.ReplyPaused: "reply.paused",
            partners.ReplyResumed: "reply.resumed",
            partners.ReplyHandedOn: "reply.handed-on",
            partners.ReplyCompleted: "reply.completed",
            partners.ReplyFailed: "reply.failed",
            partners.ReplyReopened: "reply.reopened",
        },
    ),
    Contract(
        partners.CapacityReported,
        f"{Contract.PREFIX}capacity.reported.v1",
        partners.TOPIC,
        "partner_id",
        "partner",
    ),
    *_about_cases(
        "scheduling",
        scheduling,
        {
            scheduling.AppointmentBooked: "appointment.booked",
            scheduling.AppointmentRescheduled: "appointment.rescheduled",
            scheduling.AppointmentCancelled: "appointment.cancelled",
            scheduling.AppointmentMissed: "appointment.missed",
            scheduling.AppointmentUnavailable: "appointment.unavailable",
        },
    ),
    *_about_cases("notify", notify, {notify.MessageSettled: "message.settled"}),
    Contract(
        operations.RecordSetAside,
        f"{Contract.PREFIX}record.set-aside.v1",
        operations.TOPIC,
        "original_key",
        "every service",
        apart=True,
    ),
)

BY_TYPE: Final[Mapping[str, Contract]] = MappingProxyType({contract.type: contract for contract in CONTRACTS})
BY_EVENT: Final[Mapping[type[Event], Contract]] = MappingProxyType({contract.event: contract for contract in CONTRACTS})

__all__ = ["BY_EVENT", "BY_TYPE", "CONTRACTS", "Contract", "Event"]
