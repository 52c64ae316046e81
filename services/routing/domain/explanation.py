"""Why a referral is where it is: what was looked at, in the order it was looked at."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.routing.domain.agreement import RuleSeen
from shared.contracts.base import AgreementVersion, CaseId, ConcernId, PartnerId, ReferralId, SheetId
from shared.contracts.codes import Actor, AgeBand, CapacityStatus, Concern, Municipality, SubTopic, UnplacedReason


class TakerVerdict(StrEnum):
    """Whether a taker of the rule was asked, or the first thing that stood against it."""

    ASKED = "asked"
    NO_LEGAL_BASIS = "no_legal_basis"
    EXCLUDED_BY_WISH = "excluded_by_wish"
    ALREADY_ASKED = "already_asked"
    NO_CAPACITY = "no_capacity"
    LONGER_WAIT = "longer_wait"
    NOT_PREFERRED = "not_preferred"
    OTHER_LANGUAGE = "other_language"
    MORE_LOAD = "more_load"
    NOT_ITS_TURN = "not_its_turn"


@dataclass(frozen=True, slots=True)
class TakerSeen:
    """A taker of the rule, and why it was or was not asked; with the capacity and load as they were seen.

    `places` are those left of a limited offer, `weeks` the wait it reported, `load` its open referrals where the rule
    asks for them.
    """

    taker: PartnerId
    verdict: TakerVerdict
    status: CapacityStatus | None = None
    places: int | None = None
    weeks: int | None = None
    load: int | None = None


@dataclass(frozen=True, slots=True)
class ConcernSeen:
    """How the destination of one concern was found."""

    concern_id: ConcernId
    code: Concern
    sub_topic: SubTopic | None
    age_band: AgeBand
    rules: tuple[RuleSeen, ...] = ()
    takers: tuple[TakerSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a referral was made, or assigned by the office. `follows` is the ended one that left the concerns over;
    `step` is how far the case had counted its events, by which its explanations are in order."""

    referral_id: ReferralId
    case_id: CaseId
    step: int
    at: datetime
    by: Actor
    municipality: Municipality
    agreement: AgreementVersion | None
    partner_id: PartnerId | None
    unplaced: UnplacedReason | None
    sheet: SheetId | None
    concerns: tuple[ConcernSeen, ...]
    reason: str | None = None
    follows: ReferralId | None = None
