"""What the routes of a webhook take and give."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from services.gateway.domain.webhooks import Failure, State
from services.gateway.webhooks.addresses import LONGEST


class Wanted(BaseModel):
    """Where the events are to go."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: Annotated[str, Field(max_length=LONGEST)]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a moment that has a year in UTC as well") from None


class ReplayWanted(BaseModel):
    """From when on events are to be sent again."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    begin: Annotated[AwareDatetime, AfterValidator(_in_utc), Field(alias="from")]


class WebhookView(BaseModel):
    """A webhook. `since` is when its state began, or was asked for again; `waiting` how many events are to be sent;
    `old_secret_until` stands while two secrets sign (UTC)."""

    url: str
    state: State
    since: datetime
    reason: Failure | None
    waiting: int
    old_secret_until: datetime | None


class WebhookWithSecret(WebhookView):
    """The secret is told here and never again."""

    secret: str


class Replaying(BaseModel):
    """How many events are sent again."""

    events: int


class AttemptView(BaseModel):
    """The last attempt (UTC). `status` is the receiver's, where there was one."""

    at: datetime
    status: int | None
    failure: Failure | None


class DeliveryView(BaseModel):
    """One event on its way; `next_at` stands while it is to be sent (UTC)."""

    event_id: str
    type: str
    subject: str
    time: datetime
    attempts: int
    is_replay: bool = False
    failing_since: datetime | None = None
    next_at: datetime | None = None
    delivered_at: datetime | None = None
    last: AttemptView | None = None


class DeliveriesPage(BaseModel):
    """Deliveries, the newest event first; `next` continues the list."""

    deliveries: list[DeliveryView]
    next: str | None
