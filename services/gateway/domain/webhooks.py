"""A partner's webhook: what signs a delivery, and when one that failed is tried again (Standard Webhooks 1.0)."""

import hmac
import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict
from standardwebhooks import Webhook as Signer

from services.gateway.domain.cursors import Positions
from services.gateway.domain.events import QueueEvent

BOTH_COUNT: Final = timedelta(hours=24)
"""So long the secret before signs as well, so that a receiver can go over to the new one in its own time."""
GIVE_UP: Final = timedelta(days=5)
"""A webhook that one delivery has failed for so long, as often as there are pauses, is disabled."""
PAUSES: Final = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
)
"""Between the attempts at a delivery; the last one again and again."""
LONGEST_ASKED: Final = timedelta(days=1)
"""The longest pause that a receiver may ask for."""
BETWEEN_REPLAYS: Final = timedelta(minutes=10)
MOST_ROTATIONS: Final = 5
"""In the time for which an older secret counts: each of them signs every attempt."""


class RotatedTooOftenError(Exception):
    """So many secrets count already; at `until` (UTC) the oldest of them ends."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"until {until.isoformat()}")
        self.until = until


class State(StrEnum):
    """What a webhook does; its deliveries are kept in every state."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class Failure(StrEnum):
    """Why a delivery was not taken, or the webhook disabled."""

    NO_PUBLIC_ADDRESS = "no_public_address"
    NOT_REACHED = "not_reached"
    CERTIFICATE = "certificate"
    TOO_SLOW = "too_slow"
    BROKEN_OFF = "broken_off"
    REDIRECT = "redirect"
    REFUSED = "refused"
    GONE = "gone"


class Seed(BaseModel):
    """What a secret is derived from; `until` (UTC) stands where a newer one has taken its place."""

    model_config = ConfigDict(frozen=True)

    value: str
    until: datetime | None = None


class Webhook(BaseModel):
    """Where a partner wants its events, and how that goes; `since` (UTC) is when the state began, or was asked for
    again. The newest seed is the first. `begin` is where the queue ended when it was made, by partition."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id: str
    partner_id: str
    url: str
    state: State
    since: datetime
    reason: Failure | None = None
    seeds: tuple[Seed, ...]
    begin: Positions
    replayed_at: datetime | None = None

    def covers(self, event: QueueEvent) -> bool:
        """Whether an event of the queue is to be sent; those from before are in the feed only. A partition that was
        added later begins with its first."""
        return event.offset >= self.begin.get(event.partition, 0)

    def secrets(self, key: bytes, now: datetime) -> list[str]:
        """Those that sign now, the newest first."""
        return [secret_of(key, self.partner_id, seed) for seed in self.seeds if seed.until is None or now < seed.until]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to a webhook; `failing_since` (UTC) is when the first of its failed attempts was."""

    id: str
    event_id: str
    subject: str
    body: str
    next_at: datetime
    attempts: int = 0
    failing_since: datetime | None = None
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an attempt. `retry_after` is the pause that the receiver asked for."""

    status: int | None = None
    failure: Failure | None = None
    retry_after: timedelta | None = None


def new_seed() -> Seed:
    """For a secret that nobody knows yet."""
    return Seed(value=secrets.token_hex(16))


def secret_of(key: bytes, partner_id: str, seed: Seed) -> str:
    """The secret as its owner is told it. It follows from the gateway's key, so that the store does not hold it."""
    return "whsec_" + b64encode(hmac.digest(key, f"{partner_id}\n{seed.value}".encode(), "sha256")).decode()


def rotate(seeds: Sequence[Seed], new: Seed, now: datetime) -> Sequence[Seed]:
    """The seeds with a new one, and with each that still counts: where an answer was lost and asked for again, the
    receiver's is not the last. Raises `RotatedTooOftenError`."""
    before = [seed.model_copy(update={"until": seed.until or now + BOTH_COUNT}) for seed in seeds]
    counting = [seed for seed in before if seed.until and now < seed.until]
    if len(counting) > MOST_ROTATIONS:
        raise RotatedTooOftenError(min(seed.until for seed in counting if seed.until))
    return [new, *counting]


def headers_of(delivery: Delivery, signing: Sequence[str], at: datetime) -> Mapping[str, str]:
    """What goes with an attempt; `at` is UTC."""
    signatures = [Signer(secret).sign(delivery.event_id, at, delivery.body) for secret in signing]
    return {
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "User-Agent": "integrationsbuero",
        "webhook-id": delivery.event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
        **({"webhook-replay": "true"} if delivery.is_replay else {}),
    }


def answer_of(status: int, retry_after: str | None, now: datetime) -> Answer:
    """What a receiver's status means; only 2xx is delivered (RFC 9110, section 15)."""
    asked = _asked_pause(retry_after, now)
    if 200 <= status < 300:
        return Answer(status)
    if 300 <= status < 400:
        return Answer(status, Failure.REDIRECT)
    if status == 410:
        return Answer(status, Failure.GONE)
    return Answer(status, Failure.REFUSED, asked)


def pause_after(attempts: int, asked: timedelta | None = None) -> timedelta:
    """How long to wait after so many failed attempts at a delivery (at least one): as the receiver asked, within
    bounds, or longer and longer."""
    if asked is not None:
        return min(max(asked, PAUSES[0]), LONGEST_ASKED)
    return PAUSES[min(attempts, len(PAUSES)) - 1]


def again_at(delivery: Delivery, answer: Answer, now: datetime) -> datetime | None:
    """When an event is to be tried again; None where it was taken."""
    return now + pause_after(delivery.attempts + 1, answer.retry_after) if answer.failure else None


def is_hopeless(delivery: Delivery, failure: Failure, now: datetime) -> bool:
    """Whether this failure is one too many. Days alone do not count: the gateway itself may have been away."""
    is_tried = delivery.attempts + 1 >= len(PAUSES)
    return failure is Failure.GONE or (is_tried and (delivery.failing_since or now) <= now - GIVE_UP)


def _asked_pause(retry_after: str | None, now: datetime) -> timedelta | None:
    """The pause in a Retry-After header, seconds or a date (RFC 9110, section 10.2.3)."""
    if not retry_after:
        return None
    try:
        if retry_after.isascii() and retry_after.isdigit():
            return timedelta(seconds=int(retry_after))
        at = parsedate_to_datetime(retry_after)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        return None
