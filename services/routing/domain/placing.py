"""What every decision about a case ends with: hold or release what depends, place what nobody has, tell how it is."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from services.routing.domain import partner_queue
from services.routing.domain.agreement import Agreement
from services.routing.domain.case import Referral, RoutedCase
from services.routing.domain.clocks import response_clock
from services.routing.domain.explanation import ConcernSeen, Explanation
from services.routing.domain.lifecycle import Transition
from services.routing.domain.placement import Destination, Placed, place
from services.routing.domain.situation import Situation
from shared.contracts import Event
from shared.contracts.base import ConcernId, ReferralId, derived_id
from shared.contracts.codes import Actor, ReferralState, UnplacedReason
from shared.contracts.intake import ConcernFacts
from shared.contracts.routing import (
    CoverageGapFound,
    ReferralHeld,
    ReferralInformed,
    ReferralReleased,
    ReferralUnplaced,
)
from shared.days import local_day
from shared.pipeline.decisions import Decision

_GAPS: Final = frozenset(
    {
        UnplacedReason.NO_RULE,
        UnplacedReason.NO_AGREEMENT,
        UnplacedReason.NO_CAPACITY,
        UnplacedReason.ALL_ASKED,
    }
)
"""What is the agreement's or the partners' shortcoming, and not what somebody wished or did not consent to."""


def conclude(
    case: RoutedCase, told: Iterable[Event], situation: Situation, cause_id: str, now: datetime
) -> Decision[RoutedCase]:
    """Store what was decided, after what follows from it for the other concerns of the case."""
    events = list(told)
    while not case.withdrawn:
        released = [
            referral.moved(Transition.RELEASED, now, Actor.AGREEMENT)
            for referral in case.referrals
            if referral.state is ReferralState.HELD and not any(map(case.awaited, case.concerns_of(referral)))
        ]
        if released:
            events += [ReferralReleased(case_id=case.id, referral_id=referral.id) for referral in released]
            case = case.with_referrals(released)
        left = case.in_nobodys_hands
        if not left:
            break
        case = _placed(case, left, situation, cause_id, now, events)  # a sheet settles at once what others wait for
    return Decision(state=case, events=(*events, case.progress))


def with_offers(
    case: RoutedCase,
    made: Sequence[tuple[Referral, tuple[ConcernSeen, ...]]],
    agreement: Agreement | None,
    situation: Situation,
    now: datetime,
) -> RoutedCase:
    """The case with these referrals, why they are where they are, and the places they take."""
    after = case.with_referrals(referral for referral, _ in made)
    explained = tuple(_explanation(case, referral, seen, now) for referral, seen in made if seen)
    taken = tuple(
        place
        for referral, _ in made
        if referral.partner_id and agreement
        for place in places_taken(after, referral, agreement, situation)
    )
    return after.model_copy(update={"explained": case.explained + explained, "taken": case.taken + taken})


def places_taken(
    case: RoutedCase, referral: Referral, agreement: Agreement, situation: Situation
) -> tuple[tuple[str, ReferralId], ...]:
    """The reports of capacity that a referral takes a place of from now on, each with its id."""
    assert referral.partner_id is not None, "only a partner has places"
    codes = (concern.code for concern in case.concerns_of(referral))
    reports = situation.give(agreement.partner(referral.partner_id), codes)
    return tuple((report, referral.id) for report in reports)


def _explanation(case: RoutedCase, referral: Referral, seen: tuple[ConcernSeen, ...], now: datetime) -> Explanation:
    return Explanation(
        referral_id=referral.id,
        case_id=case.id,
        step=case.sequence,
        at=now,
        by=referral.by,
        municipality=case.facts.municipality,
        agreement=referral.agreement,
        partner_id=referral.partner_id,
        unplaced=referral.unplaced,
        sheet=referral.sheet,
        concerns=seen,
        reason=referral.reason,
        follows=referral.follows,
    )


def _placed(
    case: RoutedCase,
    concerns: Iterable[ConcernFacts],
    situation: Situation,
    cause_id: str,
    now: datetime,
    events: list[Event],
) -> RoutedCase:
    """The case with new referrals for these concerns, one for each destination and referral that left them over."""
    agreement = situation.agreements.in_force(case.day)
    held: dict[tuple[ReferralId | None, tuple[ConcernId, ...]], list[ConcernId]] = defaultdict(list)
    shares: dict[tuple[ReferralId | None, Destination], list[Placed]] = defaultdict(list)
    for concern in concerns:
        last = case.latest(concern.concern_id)
        follows = last.id if last else None
        if awaited := case.awaited(concern):
            held[follows, awaited].append(concern.concern_id)
        else:
            asked = case.asked(concern.concern_id) if last else frozenset()
            placed = place(concern, case.facts, asked, agreement, case.day, situation)
            shares[follows, placed.destination].append(placed)
    maker = _Maker(case, agreement, cause_id, now)
    made = [maker.held(follows, awaited, ids) for (follows, awaited), ids in held.items()]
    made += [maker.placed(follows, to, share) for (follows, to), share in shares.items()]
    for referral, _ in made:
        events += _announced(case, referral, agreement)
    return with_offers(case, made, agreement, situation, now)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the new referrals of one decision, each with what was looked at to place it."""

    case: RoutedCase
    agreement: Agreement | None
    cause_id: str
    now: datetime

    def held(
        self, follows: ReferralId | None, awaited: Sequence[ConcernId], ids: Sequence[ConcernId]
    ) -> tuple[Referral, tuple[ConcernSeen, ...]]:
        return self._new(ReferralState.HELD, follows, ",".join(awaited), ids), ()

    def placed(
        self, follows: ReferralId | None, to: Destination, shares: Sequence[Placed]
    ) -> tuple[Referral, tuple[ConcernSeen, ...]]:
        rules = tuple(dict.fromkeys(placed.rule for placed in shares if placed.rule))
        where: dict[str, Any] = {"partner_id": to.partner_id, "unplaced": to.unplaced, "sheet": to.sheet}
        if to.partner_id and self.agreement:
            where["clock"] = response_clock(self.agreement, to.partner_id, rules, self.now)
            where["offered_on"] = local_day(self.now)
        ids = [placed.seen.concern_id for placed in shares]
        referral = self._new(_state(to), follows, str(to), ids, rules=rules, **where)
        return referral, tuple(placed.seen for placed in shares)

    def _new(
        self, state: ReferralState, follows: ReferralId | None, to: str, ids: Sequence[ConcernId], **fields: Any
    ) -> Referral:
        """Its id follows from what caused it, so that a repetition makes the same one."""
        return Referral(
            id=derived_id(self.cause_id, follows or self.case.id, state, to),
            state=state,
            concerns=tuple(ids),
            since=self.now,
            follows=follows,
            agreement=self.agreement.version if self.agreement else None,
            **fields,
        )


def _state(to: Destination) -> ReferralState:
    if to.partner_id:
        return ReferralState.OFFERED
    return ReferralState.INFORMED if to.sheet else ReferralState.CLEARING


def _announced(case: RoutedCase, referral: Referral, agreement: Agreement | None) -> Iterator[Event]:
    if referral.partner_id and agreement:
        yield partner_queue.offered(case, referral, agreement)
    elif referral.unplaced:
        yield ReferralUnplaced(
            case_id=case.id, referral_id=referral.id, concerns=referral.concerns, reason=referral.unplaced
        )
        if referral.unplaced in _GAPS:
            yield from (_gap(case, concern, referral) for concern in case.concerns_of(referral))
    elif referral.sheet:
        yield ReferralInformed(
            case_id=case.id,
            referral_id=referral.id,
            person_id=case.facts.person_id,
            concerns=referral.concerns,
            sheet=referral.sheet,
            languages=case.facts.languages,
        )
    else:
        awaited = (id_ for concern in case.concerns_of(referral) for id_ in case.awaited(concern))
        yield ReferralHeld(
            case_id=case.id,
            referral_id=referral.id,
            concerns=referral.concerns,
            after=tuple(dict.fromkeys(awaited)),
        )


def _gap(case: RoutedCase, concern: ConcernFacts, referral: Referral) -> CoverageGapFound:
    town, language = case.facts.municipality, next(iter(case.facts.languages), None)
    assert referral.unplaced is not None, "a gap is why somebody could not be asked"
    return CoverageGapFound(
        gap_id=derived_id("gap", concern.code, town, language or ""),
        code=concern.code,
        municipality=town,
        language=language,
        reason=referral.unplaced,
        agreement=referral.agreement,
    )
