"""How much of a field of work a partner can take, as it reported it last."""

from datetime import datetime, timedelta

from services.routing.domain.replies import A_YEAR, is_from_the_future, refused
from services.routing.domain.situation import Room, Situation
from shared.contracts.base import Instant, PartnerId
from shared.contracts.codes import CapacityStatus, Concern, RejectionReason
from shared.contracts.partners import CapacityReported
from shared.days import end_of, local_day
from shared.pipeline.decisions import Aggregate, Decision, Received

SEPARATOR = "/"
"""Between partner and field in the id; no case and no referral has one in its own."""


class PartnerCapacity(Aggregate):
    """The newest report of a partner about one field; it counts until `expires_at`. `report` is its id."""

    partner_id: PartnerId
    code: Concern
    status: CapacityStatus
    places: int | None
    weeks: int | None
    report: str
    reported_at: Instant
    expires_at: Instant

    def room(self, used: int) -> Room:
        """What is left of it after so many places were given away."""
        left = None if self.places is None else self.places - used
        return Room(self.status, left, self.weeks, self.report)


def capacity_id(report: CapacityReported) -> str:
    """Where the reports of a partner about a field are kept."""
    return f"{report.partner_id}{SEPARATOR}{report.code}"


def note_capacity(
    situation: Situation, received: Received[CapacityReported], known: PartnerCapacity | None, now: datetime
) -> Decision[PartnerCapacity]:
    """Keep what a partner reports about a field that today's agreement gives it; the last report counts."""
    said, today = received.event, local_day(now)
    agreement = situation.agreements.in_force(today)
    if said.partner_id != received.partner_id:
        return refused(received, RejectionReason.INVALID)
    if agreement is None or not any(
        said.partner_id in (*rule.takers, *rule.hand_on_to) and said.code in rule.fields for rule in agreement.rules
    ):
        return refused(received, RejectionReason.NOT_IN_AGREEMENT)
    last = said.valid_until or today + timedelta(days=agreement.clocks.capacity)
    if last < today:
        return refused(received, RejectionReason.IN_THE_PAST)
    if last > today + A_YEAR or is_from_the_future(received, now):
        return refused(received, RejectionReason.FROM_THE_FUTURE)
    reported = {
        "partner_id": said.partner_id,
        "code": said.code,
        "status": said.status,
        "places": said.places,
        "weeks": said.weeks,
        "report": received.cause.id,
        "reported_at": now,
        "expires_at": end_of(last),
    }
    if known is None:
        return Decision(state=PartnerCapacity(id=capacity_id(said), **reported))
    return Decision(state=known.model_copy(update=reported))
