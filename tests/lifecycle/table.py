"""DESIGN section 6 as data, written from its text and not from the code."""

from typing import Final

STAYS: Final = ""
"""The transition has no state of its own: the referral stays where it is, or goes back to where it was."""

WITH_PARTNER: Final = frozenset({"offered", "accepted", "waiting", "scheduled", "in_service", "on_hold"})
OPEN: Final = WITH_PARTNER | {"clearing", "held"}
SETTLED: Final = frozenset({"completed", "failed", "closed", "informed"})
NOT_KEPT: Final = frozenset({"declined", "expired", "handed_on"})

TABLE: Final = {
    "referral.offered": ({"clearing"}, "offered"),
    "referral.closed_unmet": ({"clearing"}, "closed"),
    "referral.accepted": ({"offered"}, "accepted"),
    "referral.declined": ({"offered"}, "declined"),
    "referral.overdue": ({"offered"}, STAYS),
    "referral.expired": ({"offered"}, "expired"),
    "clarification.requested": ({"offered", "accepted", "in_service"}, "waiting"),
    "clarification.answered": ({"waiting"}, STAYS),
    "clarification.expired": ({"waiting"}, STAYS),
    "referral.scheduled": ({"accepted"}, "scheduled"),
    "referral.rescheduled": ({"scheduled"}, STAYS),
    "referral.unscheduled": ({"scheduled"}, "accepted"),
    "service.started": ({"accepted", "scheduled"}, "in_service"),
    "service.paused": ({"in_service"}, "on_hold"),
    "service.resumed": ({"on_hold"}, "in_service"),
    "service.review_due": ({"on_hold"}, STAYS),
    "referral.handed_on": ({"accepted", "scheduled", "in_service"}, "handed_on"),
    "referral.completed": ({"in_service"}, "completed"),
    "referral.failed": ({"in_service"}, "failed"),
    "referral.withdrawn": (OPEN, "withdrawn"),
    "referral.cancelled": (OPEN, "cancelled"),
    "referral.reopened": ({"completed", "failed"}, "in_service"),
}
"""From which states each transition is possible, and where it leads."""

OF_THE_HOUSE: Final = {"referral.released": ({"held"}, "released")}
"""What DESIGN does not name and ADR 9 adds."""

EVENT_OF: Final = {
    "referral.accepted": "ReferralAccepted",
    "referral.declined": "ReferralDeclined",
    "referral.overdue": "ReferralOverdue",
    "referral.expired": "ReferralExpired",
    "clarification.requested": "ClarificationRequested",
    "clarification.answered": "ClarificationAnswered",
    "clarification.expired": "ClarificationExpired",
    "referral.scheduled": "ReferralScheduled",
    "referral.rescheduled": "ReferralRescheduled",
    "referral.unscheduled": "ReferralUnscheduled",
    "service.started": "ServiceStarted",
    "service.paused": "ServicePaused",
    "service.resumed": "ServiceResumed",
    "service.review_due": "ServiceReviewDue",
    "referral.handed_on": "ReferralHandedOn",
    "referral.completed": "ReferralCompleted",
    "referral.failed": "ReferralFailed",
    "referral.withdrawn": "ReferralWithdrawn",
    "referral.cancelled": "ReferralCancelled",
    "referral.reopened": "ReferralReopened",
}
"""The event in the partner's queue that tells a transition."""
