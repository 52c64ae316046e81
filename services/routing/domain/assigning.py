"""Offers that somebody makes by name: the office that clears a task, or a partner that hands on."""

from datetime import datetime
from enum import StrEnum

from services.routing.domain import partner_queue
from services.routing.domain.agreement import BY_HAND, Agreement
from services.routing.domain.case import Referral, RoutedCase
from services.routing.domain.clocks import response_clock
from services.routing.domain.explanation import ConcernSeen, TakerSeen, TakerVerdict
from services.routing.domain.lifecycle import Transition
from services.routing.domain.placement import covers, match
from services.routing.domain.placing import with_offers
from services.routing.domain.situation import Situation
from shared.contracts import Event
from shared.contracts.base import PartnerId, derived_id
from shared.contracts.codes import Actor, ReferralState, UnplacedReason
from shared.contracts.partners import ReplyHandedOn


def stands_against(
    case: RoutedCase, referral: Referral, partner_id: PartnerId, agreement: Agreement
) -> UnplacedReason | None:
    """Why a partner may not have the concerns of a referral, whoever wants it to; None where it may."""
    if partner_id not in agreement.partners_by_id:
        return UnplacedReason.NO_AGREEMENT
    if not all(covers(case.facts.legal_basis, id_, partner_id, case.day) for id_ in referral.concerns):
        return UnplacedReason.NO_LEGAL_BASIS
    return UnplacedReason.EXCLUDED_BY_WISH if partner_id in case.facts.excluded_partners else None


def assigned(
    case: RoutedCase,
    referral: Referral,
    to: PartnerId,
    agreement: Agreement,
    situation: Situation,
    now: datetime,
    by: Actor,
    reason: StrEnum,
) -> tuple[RoutedCase, Event]:
    """The case with a referral in clearing offered to a partner that somebody named, and what that partner is told."""
    concerns = case.concerns_of(referral)
    matches = [match(concern, case.facts, agreement, case.day) for concern in concerns]
    rules = tuple(dict.fromkeys(rule.id for rule, _ in matches if rule and to in (*rule.takers, *rule.hand_on_to)))
    offered = referral.moved(
        Transition.ASSIGNED,
        now,
        by,
        reason,
        partner_id=to,
        unplaced=None,
        agreement=agreement.version,
        rules=rules or (BY_HAND,),
        clock=response_clock(agreement, to, rules, now),
    )
    partner = agreement.partner(to)
    rooms = [situation.room(partner, concern.code) for concern in concerns]
    seen = tuple(
        ConcernSeen(
            concern.concern_id,
            concern.code,
            concern.sub_topic,
            concern.age_band,
            rules_seen,
            (TakerSeen(to, TakerVerdict.ASKED, room.status, room.places, room.weeks),),
        )
        for concern, (_, rules_seen), room in zip(concerns, matches, rooms, strict=True)
    )
    return with_offers(case, [(offered, seen)], agreement, situation, now), partner_queue.offered(
        case, offered, agreement
    )


def may_be_handed_to(
    to: PartnerId, case: RoutedCase, referral: Referral, agreement: Agreement, situation: Situation
) -> bool:
    """Whether a partner may give its referral to another: by the agreement as by legal basis, wish and capacity."""
    if to == referral.partner_id or stands_against(case, referral, to, agreement):
        return False
    return all(
        to not in case.asked(concern.concern_id)
        and (rule := match(concern, case.facts, agreement, case.day)[0]) is not None
        and to in (*rule.takers, *rule.hand_on_to)
        and not situation.room(agreement.partner(to), concern.code).is_full
        for concern in case.concerns_of(referral)
    )


def handed_over(
    case: RoutedCase,
    ended: Referral,
    reply: ReplyHandedOn,
    agreement: Agreement,
    situation: Situation,
    cause_id: str,
    now: datetime,
) -> tuple[RoutedCase, Event]:
    """The concerns of the referral that was handed on, offered to the partner that was named."""
    assert reply.to is not None, "without a name the rules decide"
    linked = Referral(
        id=derived_id(cause_id, ended.id, reply.to),
        state=ReferralState.CLEARING,
        concerns=ended.concerns,
        since=now,
        follows=ended.id,
    )
    return assigned(case, linked, reply.to, agreement, situation, now, Actor.PARTNER, reply.reason)
