"""Who is asked to take a concern: the agreement's takers, less those that may not, shall not or would not."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TypeAlias
from uuid import UUID

from services.routing.agreement import OFFICE, Agreement
from services.routing.domain.case import Referral, RoutedCase
from shared.contracts.base import ConcernId, PartnerId
from shared.contracts.codes import LegalBasisKind, UnplacedReason
from shared.contracts.intake import ConcernFacts, LegalBasis

Destination: TypeAlias = PartnerId | UnplacedReason


def divide(
    case: RoutedCase, concerns: Iterable[ConcernFacts], agreement: Agreement | None
) -> Mapping[Destination, tuple[ConcernId, ...]]:
    """The concerns by the partner that is to be asked, or by the reason why nobody can be."""
    divided: dict[Destination, tuple[ConcernId, ...]] = defaultdict(tuple)
    for concern in concerns:
        divided[destination_of(case, concern, agreement)] += (concern.concern_id,)
    return divided


def destination_of(case: RoutedCase, concern: ConcernFacts, agreement: Agreement | None) -> Destination:
    """The taker whose turn it is. The office needs no legal basis: with it nothing is passed on."""
    if agreement is None:
        return UnplacedReason.NO_AGREEMENT
    rule = agreement.rule_for(concern.code, concern.age_band)
    if rule is None:
        return UnplacedReason.NO_RULE
    basis, day = case.facts.legal_basis, case.day
    takers = [taker for taker in rule.takers if taker == OFFICE or covers(basis, concern.concern_id, taker, day)]
    if not takers:
        return UnplacedReason.NO_LEGAL_BASIS
    takers = [taker for taker in takers if taker not in case.facts.excluded_partners]
    if not takers:
        return UnplacedReason.EXCLUDED_BY_WISH
    decliners = case.decliners(concern.concern_id)
    takers = [taker for taker in takers if taker not in decliners]
    if not takers:
        return UnplacedReason.ALL_ASKED
    taker = in_turn(case, takers)
    return UnplacedReason.OFFICE_TASK if taker == OFFICE else taker


def may_stay(case: RoutedCase, concern: ConcernFacts, referral: Referral, agreement: Agreement | None) -> bool:
    """Whether an amended concern stays in the hands it is in.

    A partner gives it back when the legal basis no longer covers it, a consent withdrawn for instance; the office when
    it waited for a legal basis that has come.
    """
    if referral.partner_id:
        return covers(case.facts.legal_basis, concern.concern_id, referral.partner_id, case.day)
    waits = referral.unplaced is UnplacedReason.NO_LEGAL_BASIS
    return not waits or destination_of(case, concern, agreement) is UnplacedReason.NO_LEGAL_BASIS


def covers(basis: LegalBasis, concern: ConcernId, partner: PartnerId, on: date) -> bool:
    """Whether this legal basis lets the concern be passed on to the partner; `valid_until` is its last day."""
    return (
        basis.kind is not LegalBasisKind.NONE
        and (basis.valid_until is None or on <= basis.valid_until)
        and (basis.partners is None or partner in basis.partners)
        and (basis.concerns is None or concern in basis.concerns)
    )


def in_turn(case: RoutedCase, takers: list[PartnerId]) -> PartnerId:
    """One of the takers: by the case's random number each gets an equal share, and a repetition asks the same one."""
    return takers[UUID(case.id).int % len(takers)]
