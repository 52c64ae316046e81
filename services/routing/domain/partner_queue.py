"""Everything that goes into a partner's queue, and so everything a partner learns.

It learns the concerns it is asked to take and, of the wishes, the ones its agreement names: never the town, the other
concerns, or who else was asked.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict

from services.routing.agreement import Agreement, Partner
from services.routing.domain.case import Referral, RoutedCase
from shared.contracts.base import CaseId, Language, PartnerId, ReferralId, derived_id
from shared.contracts.codes import DeclineReason, Need, RejectionReason, WithdrawalReason
from shared.contracts.partners import TOPIC
from shared.contracts.routing import (
    OfferedConcern,
    ReferralAccepted,
    ReferralDeclined,
    ReferralOffered,
    ReferralScheduled,
    ReferralWithdrawn,
    ReplyRejected,
)
from shared.contracts.scheduling import AppointmentBooked
from shared.days import local_day, working_days_after


class Names(TypedDict):
    """What every event of the queue names."""

    partner_id: PartnerId
    referral_id: ReferralId
    case_id: CaseId


@dataclass(frozen=True, slots=True)
class View:
    """A case as one partner may see it."""

    concerns: tuple[OfferedConcern, ...]
    languages: tuple[Language, ...]
    needs: tuple[Need, ...]


def cut(case: RoutedCase, referral: Referral, partner: Partner) -> View:
    """The one place that decides what of a case a partner sees."""
    return View(
        concerns=tuple(OfferedConcern(**dict(concern)) for concern in case.concerns_of(referral)),
        languages=case.facts.languages,
        needs=tuple(need for need in case.facts.needs if need in partner.needs),
    )


def offered(case: RoutedCase, referral: Referral, agreement: Agreement, now: datetime) -> ReferralOffered:
    """The partner is asked; it has the agreement's working days from now to answer."""
    names = _names(case, referral)
    partner = agreement.partner(names["partner_id"])
    view = cut(case, referral, partner)
    rules = (agreement.rule_for(concern.code, concern.age_band) for concern in view.concerns)
    return ReferralOffered(
        **names,
        agreement=agreement.version,
        rules=tuple(dict.fromkeys(rule.id for rule in rules if rule)),
        concerns=view.concerns,
        languages=view.languages,
        needs=view.needs,
        urgency=case.facts.urgency,
        respond_by=working_days_after(local_day(now), partner.response_days),
    )


def accepted(case: RoutedCase, referral: Referral, agreement: Agreement) -> ReferralAccepted:
    """The partner's acceptance took effect; the appointment is made with the main person of the case."""
    names = _names(case, referral)
    view = cut(case, referral, agreement.partner(names["partner_id"]))
    return ReferralAccepted(
        **names,
        person_id=case.facts.person_id,
        codes=tuple(dict.fromkeys(concern.code for concern in view.concerns)),
        languages=view.languages,
        needs=view.needs,
    )


def declined(case: RoutedCase, referral: Referral, reason: DeclineReason) -> ReferralDeclined:
    """The partner's refusal took effect."""
    return ReferralDeclined(**_names(case, referral), reason=reason)


def scheduled(case: RoutedCase, referral: Referral, booked: AppointmentBooked) -> ReferralScheduled:
    """What the partner must know of the appointment that was booked."""
    return ReferralScheduled(
        **_names(case, referral),
        appointment_id=booked.appointment_id,
        starts_at=booked.starts_at,
        minutes=booked.minutes,
        place=booked.place,
        mode=booked.mode,
    )


def withdrawn(case: RoutedCase, referral: Referral, reason: WithdrawalReason) -> ReferralWithdrawn:
    """Nothing more is to be done."""
    return ReferralWithdrawn(**_names(case, referral), reason=reason)


def rejected(partner_id: PartnerId, partition: int, offset: int, reason: RejectionReason) -> ReplyRejected:
    """The answer to a reply that had no effect; names it by its place in the partner's reply topic."""
    topic = TOPIC.format(partner_id=partner_id)
    return ReplyRejected(
        partner_id=partner_id,
        rejection_id=derived_id(topic, str(partition), str(offset)),
        partition=partition,
        offset=offset,
        reason=reason,
    )


def _names(case: RoutedCase, referral: Referral) -> Names:
    assert referral.partner_id is not None, "what is with the office has no queue"
    return Names(partner_id=referral.partner_id, referral_id=referral.id, case_id=case.id)
