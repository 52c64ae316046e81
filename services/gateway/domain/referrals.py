"""What a partner's queue says about each referral, folded into one document: where it stands and what was asked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from services.gateway.domain.events import QueueEvent
from shared.contracts.base import Contract
from shared.contracts.codes import ReferralState

_S = ReferralState
_STATES: Final[Mapping[str, ReferralState]] = {
    "referral.offered": _S.OFFERED,
    "referral.accepted": _S.ACCEPTED,
    "referral.declined": _S.DECLINED,
    "referral.expired": _S.EXPIRED,
    "clarification.requested": _S.WAITING,
    "referral.scheduled": _S.SCHEDULED,
    "referral.rescheduled": _S.SCHEDULED,
    "referral.unscheduled": _S.ACCEPTED,
    "service.started": _S.IN_SERVICE,
    "service.paused": _S.ON_HOLD,
    "service.resumed": _S.IN_SERVICE,
    "referral.handed-on": _S.HANDED_ON,
    "referral.completed": _S.COMPLETED,
    "referral.failed": _S.FAILED,
    "referral.reopened": _S.IN_SERVICE,
    "referral.withdrawn": _S.WITHDRAWN,
    "referral.cancelled": _S.CANCELLED,
}
"""The state after an event; others change none, but for a question's end, which brings back the state before it."""
_APPOINTMENTS: Final = frozenset({"referral.scheduled", "referral.rescheduled", "referral.unscheduled"})
_AWAIT_ONE: Final = frozenset({_S.ACCEPTED, _S.SCHEDULED})
_QUESTION: Final = "clarification.requested"
_QUESTION_ENDS: Final = frozenset({"clarification.answered", "clarification.expired"})
OPEN: Final = frozenset({_S.OFFERED, _S.ACCEPTED, _S.WAITING, _S.SCHEDULED, _S.IN_SERVICE, _S.ON_HOLD})
_SUFFIX: Final = ".v1"


class KnownReferral(BaseModel):
    """One referral of a partner. `offer` is what was asked with what of it remains, `appointment` the one that stands;
    `before` is the state that a question interrupted. Moments are in UTC."""

    model_config = ConfigDict(frozen=True)

    id: str
    partner_id: str
    sequence: int
    state: ReferralState
    since: datetime
    before: ReferralState | None = None
    offer: dict[str, Any] | None = None
    appointment: dict[str, Any] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is the partner's to deal with."""
        return self.state in OPEN


def after(known: KnownReferral | None, event: QueueEvent, partner_id: str) -> KnownReferral | None:
    """The referral after an event of its queue; None, or as it was, where the event says nothing new about it."""
    name = event.type.removeprefix(Contract.PREFIX).removesuffix(_SUFFIX)
    if "referral_id" not in event.data or (known is not None and event.sequence <= known.sequence):
        return known
    since = datetime.fromisoformat(event.attributes["time"])
    if known is None:
        if name not in _STATES:
            return None
        known = KnownReferral(id=event.subject, partner_id=partner_id, sequence=0, state=_STATES[name], since=since)
    state = _moved(known.state, name)
    if name in _QUESTION_ENDS:
        state = known.before or known.state
    changes: dict[str, Any] = {"sequence": event.sequence, "state": state, "before": None}
    if state != known.state:
        changes["since"] = since
    if name == _QUESTION:
        changes["before"] = known.state
    elif state is _S.WAITING and known.before is not None:
        changes["before"] = _moved(known.before, name)
    return known.model_copy(update=changes | _content(known, name, event.data, state))


def _moved(state: ReferralState, name: str) -> ReferralState:
    """An appointment moves who waits for it. Who is served or asked already keeps it as a date."""
    if name in _APPOINTMENTS:
        return _STATES[name] if state in _AWAIT_ONE else state
    return _STATES.get(name, state)


def _content(known: KnownReferral, name: str, said: Mapping[str, Any], state: ReferralState) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if name == "referral.offered":
        changes["offer"] = dict(said)
    elif name == "referral.amended" and known.offer is not None:
        left = [concern for concern in known.offer["concerns"] if concern["concern_id"] in said["concerns"]]
        changes["offer"] = {**known.offer, "concerns": left}
    elif known.offer is not None and said.get("respond_by"):
        changes["offer"] = {**known.offer, "respond_by": said["respond_by"]}
    if name in ("referral.scheduled", "referral.rescheduled"):
        facts = ("appointment_id", "starts_at", "minutes", "place", "mode")
        changes["appointment"] = {fact: said.get(fact) for fact in facts}
    elif name == "referral.unscheduled" or state not in OPEN:
        changes["appointment"] = None
    return changes
