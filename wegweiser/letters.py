"""What a partner's software on trial finds in its queue: records as routing writes them, and some that are wrong."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.contracts import CONTRACTS, Event
from shared.contracts.base import new_id
from shared.contracts.routing import (
    PARTNER_TOPIC,
    PartnerEvent,
    ReferralCancelled,
    ReferralExpired,
    ReferralOffered,
    ReferralWithdrawn,
    ReplyRejected,
)
from shared.envelope import Cause, headers_of, source_of
from shared.pipeline.outbox import row_of
from wegweiser.catalogue import example

ENDINGS: Final[tuple[type[PartnerEvent], ...]] = (ReferralWithdrawn, ReferralCancelled, ReferralExpired)
"""After them nothing more may be said."""
LATER: Final[tuple[type[PartnerEvent], ...]] = tuple(
    contract.event
    for contract in CONTRACTS
    if contract.topic == PARTNER_TOPIC
    and issubclass(contract.event, PartnerEvent)
    and contract.event not in (ReferralOffered, *ENDINGS)
)
"""What else happens to a referral after its offer."""
_GAP: Final = 3
"""The numbers are counted per case, of which a partner sees a part."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A record for the sandbox queue."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def an_offer(partner_id: str) -> ReferralOffered:
    """One that is nobody's."""
    respond_by = datetime.now(UTC).date() + timedelta(days=7)
    own = {"partner_id": partner_id, "referral_id": new_id(), "case_id": new_id(), "respond_by": respond_by}
    return ReferralOffered.model_validate({**example(ReferralOffered).model_dump(), **own})


def about(offer: ReferralOffered, event: type[PartnerEvent], *, step: int = 1) -> Letter:
    """What happens to the referral that was offered, so many steps after its offer."""
    own = offer.model_dump(include=set(PartnerEvent.model_fields))
    return letter(event.model_validate({**example(event).model_dump(), **own}), step=step)


def a_rejection(partner_id: str) -> Letter:
    """A reply came too late; it is about no referral."""
    own: dict[str, Any] = {"partner_id": partner_id, "rejection_id": new_id()}
    return letter(ReplyRejected.model_validate({**example(ReplyRejected).model_dump(), **own}))


def letter(event: Event, *, step: int = 0) -> Letter:
    """An event as routing writes it, under an id of its own; its number grows with each step, with gaps."""
    row = row_of(event, Cause.begin(), 0, None, _GAP * (step + 1), datetime.now(UTC))
    return Letter(row["subject"].encode(), row["data"].encode(), headers_of(row, source_of("routing")))


def with_more(offer: Letter) -> Letter:
    """The same offer with a field and a header that are not known yet."""
    assert offer.value is not None
    more = b'{"not_known_yet":{"deeper":[1,2]},' + offer.value[1:]
    return Letter(offer.key, more, [*offer.headers, ("ce_notknownyet", b"1")])


def of_another_version(offer: Letter) -> Letter:
    """The same with a type that follows the one that is known."""
    return _renamed(offer, b"offered.v1", b"offered.v2")


def of_another_type(offer: Letter) -> Letter:
    """The same with a type that nobody knows."""
    return _renamed(offer, b"referral.offered", b"referral.greeted")


NO_EVENTS: Final = (None, b"7", b"null", b"[1, 2]", b"{}", b'{"referral_id": 7}', b'{"referral_id": 7')
"""What stands in an offer's place where somebody wrote what nobody should."""


def without_headers() -> Letter:
    """Something that is not even text."""
    return Letter(None, b"\xff\xfe", [])


def _renamed(offer: Letter, known: bytes, new: bytes) -> Letter:
    return Letter(offer.key, offer.value, [(name, text.replace(known, new)) for name, text in offer.headers])
