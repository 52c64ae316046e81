"""What routing does about each event: how the event finds its case, and the decision that follows."""

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Final

from services.routing.agreement import Agreements
from services.routing.domain import decisions, partner_queue
from services.routing.domain.case import RoutedCase
from shared.contracts.intake import CaseAmended, CaseOpened, CaseWithdrawn
from shared.contracts.partners import ReplyAccepted, ReplyDeclined
from shared.contracts.scheduling import AppointmentBooked, AppointmentCancelled
from shared.pipeline.decisions import Reaction
from shared.pipeline.reading import Subscription
from shared.topics import REPLIES

SUBSCRIPTIONS: Final = (
    Subscription(r"^(intake\.cases|scheduling\.appointments)\.v1$", "routing"),
    # A group of their own, so that a partner's flood of replies holds up nobody's case.
    Subscription(REPLIES, "routing-replies", reject=partner_queue.rejected),
)

_CASE: Final = attrgetter("case_id")
_REFERRAL: Final = attrgetter("referral_id")
"""A partner names the referral only; the repository finds its case."""


def reactions(agreements: Agreements) -> Sequence[Reaction[Any, RoutedCase]]:
    """All reactions of this service under these agreements."""
    return (
        Reaction(CaseOpened, partial(decisions.route, agreements), _CASE),
        Reaction(CaseAmended, partial(decisions.amend, agreements), _CASE),
        Reaction(CaseWithdrawn, decisions.withdraw, _CASE),
        Reaction(ReplyAccepted, partial(decisions.accept, agreements), _REFERRAL),
        Reaction(ReplyDeclined, partial(decisions.decline, agreements), _REFERRAL),
        Reaction(AppointmentBooked, decisions.schedule, _CASE),
        Reaction(AppointmentCancelled, decisions.unschedule, _CASE),
    )
