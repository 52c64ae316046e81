"""A partner's software on trial: what it is told in its sandbox, and what is wrong with what it answers. No I/O."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.routing.domain.replies import LEEWAY
from shared.contracts import BY_TYPE, Event
from shared.contracts.base import new_id
from shared.contracts.partners import CapacityReported, ReplyAccepted, ReplyClarificationRequested, ReplyDeclined
from shared.contracts.routing import ReferralOffered, ReferralWithdrawn, ReplyRejected
from shared.envelope import Cause, UnreadableError, headers_of, source_of, source_of_partner, unwrap
from shared.pipeline.outbox import row_of
from wegweiser.catalogue import example

_ANSWERS: Final = (ReplyAccepted, ReplyDeclined, ReplyClarificationRequested)
"""What may be said first about an offer."""


class Point(Enum):
    """What is tried, in its order, and where docs/partners.md tells more."""

    OFFER = ("an offer is answered", "first-run")
    FORM = ("every reply can be read", "replies")
    REPEATED = ("the same event again has no second effect", "duplicates")
    WITHDRAWN = ("nothing more is said about what was withdrawn", "withdrawn")
    NEWER = ("what is newer than the software is left alone or read as far as it is known", "versions")
    NO_EVENT = ("what is no event stops nothing", "errors")
    BURST = ("every offer of a burst is answered once", "order")
    RESTART = ("killed and started again, it loses nothing and does nothing twice", "restart")
    DECLINED = ("an offer that is not wanted is declined with a reason", "replies")

    def __init__(self, title: str, anchor: str) -> None:
        self.title = title
        self.read_on = f"docs/partners.md#{anchor}"


_LEFT_ALONE: Final = {
    Point.NEWER: "an event whose type it cannot know",
    Point.NO_EVENT: "what is no event",
}
"""What wants no answer at these points."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A record for the sandbox queue."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Heard:
    """A reply, and where it lies."""

    place: str
    id: str
    event: Event


@dataclass(slots=True)
class _Referral:
    point: Point
    wants_answer: bool = True
    known: frozenset[str] | None = None
    """The ids of what was said before it was withdrawn, where an answer was awaited first."""
    heard: list[Heard] = field(default_factory=list)


class Trial:
    """One run: tells of referrals that are nobody's, hears what is said about them, and judges it."""

    def __init__(self, partner_id: str) -> None:
        self._partner_id = partner_id
        self._referrals: dict[str, _Referral] = {}
        self._faults: defaultdict[Point, list[str]] = defaultdict(list)
        self.has_heard = False
        """Whether anything was said at all."""

    def offer(self, point: Point) -> tuple[str, Letter]:
        """An offer that has to be answered; its referral id comes with it."""
        offer = an_offer(self._partner_id)
        self._referrals[offer.referral_id] = _Referral(point)
        return offer.referral_id, letter(offer)

    def withdrawal(self, referral_id: str, *, at_once: bool = False) -> Letter:
        """The person takes it back: `at_once`, before an answer is awaited, so that there may be none."""
        told = self._referrals[referral_id]
        told.wants_answer = not at_once
        told.known = None if at_once else frozenset(heard.id for heard in told.heard)
        withdrawn = {**example(ReferralWithdrawn).model_dump(), **_ids(self._partner_id), "referral_id": referral_id}
        return letter(ReferralWithdrawn.model_validate(withdrawn), sequence=2)

    def rejection(self) -> Letter:
        """A reply came too late; it is about no referral."""
        rejected = {**example(ReplyRejected).model_dump(), "partner_id": self._partner_id, "rejection_id": new_id()}
        return letter(ReplyRejected.model_validate(rejected), sequence=0)

    def newer(self) -> list[Letter]:
        """An offer with more in it than is known, to be answered; an unknown type and version, to be left alone."""
        _, known = self.offer(Point.NEWER)
        assert known.value is not None
        more = b'{"not_known_yet":{"deeper":[1,2]},' + known.value[1:]
        letters = [Letter(known.key, more, [*known.headers, ("ce_notknownyet", b"1")])]
        for known_part, new_part in ((b"offered.v1", b"offered.v2"), (b"referral.offered", b"referral.greeted")):
            referral_id, later = self.offer(Point.NEWER)
            self._referrals[referral_id].wants_answer = False
            headers = [(name, text.replace(known_part, new_part)) for name, text in later.headers]
            letters.append(Letter(later.key, later.value, headers))
        return letters

    def no_events(self) -> list[Letter]:
        """What nobody should have written."""
        letters = [Letter(None, b"\xff\xfe", [])]
        for value in (None, b"7", b"null", b"[1, 2]", b"{}", b'{"referral_id": 7}', b'{"referral_id": 7'):
            referral_id, offer = self.offer(Point.NO_EVENT)
            self._referrals[referral_id].wants_answer = False
            letters.append(Letter(offer.key, value, offer.headers))
        return letters

    def hear(self, record: ConsumerRecord) -> None:
        """Take a record of the sandbox's replies in; leftovers of earlier runs count for nothing."""
        place = f"{record.topic}/{record.partition}/{record.offset}"
        self.has_heard = True
        try:
            id_, subject, event = self._understood(record)
        except (_WrongError, UnreadableError) as error:
            self._faults[Point.FORM].append(f"{place}: {error}")
            return
        if record.key != subject.encode():
            self._faults[Point.FORM].append(f"{place}: the key is not {subject}, so replies about it have no order")
        if told := self._referrals.get(subject):
            told.heard.append(Heard(place, id_, event))

    def unanswered(self, point: Point) -> list[str]:
        """The referrals that an answer is awaited to."""
        return [id_ for id_, told in self._referrals.items() if self._is_awaited(told, point)]

    def fail(self, point: Point, why: str) -> None:
        """What went wrong beside what was heard."""
        self._faults[point].append(why)

    def verdict(self, point: Point) -> list[str]:
        """What is wrong, in words; nothing where the point is passed."""
        found = list(self._faults[point])
        if missing := self.unanswered(point):
            found.append(f"no answer to {_some(missing)}")
        for id_, told in self._referrals.items():
            if told.point is point:
                found += (f"{id_}: {fault}" for fault in _faults_of(told))
        return found

    def _is_awaited(self, told: _Referral, point: Point) -> bool:
        return told.point is point and told.wants_answer and not told.heard

    def _understood(self, record: ConsumerRecord) -> tuple[str, str, Event]:
        """Id, subject and event of a reply, read as routing reads it."""
        envelope = unwrap(record.topic, record.headers, record.value)
        if envelope.source != (own := source_of_partner(self._partner_id)):
            raise _WrongError(f"ce_source {envelope.source} is not {own}")
        if envelope.time is not None and envelope.time > datetime.now(UTC) + LEEWAY:
            raise _WrongError(f"ce_time {envelope.time} has not come yet")
        contract = BY_TYPE.get(envelope.type)
        if contract is None or contract.publisher != "partner":
            raise _WrongError(f"ce_type {envelope.type} is none of a partner's")
        try:
            event = contract.event.model_validate_json(envelope.data)
        except ValidationError as error:
            where = ", ".join(".".join(map(str, fault["loc"])) or "the whole" for fault in error.errors())
            raise _WrongError(f"does not fit its contract in: {where}") from None
        if isinstance(event, CapacityReported) and event.partner_id != self._partner_id:
            raise _WrongError(f"the capacity of {event.partner_id}, which is another partner")
        return envelope.id, contract.subject_of(event), event


class _WrongError(Exception):
    """A reply that routing would not take as it is meant."""


def an_offer(partner_id: str) -> ReferralOffered:
    """One that is nobody's."""
    respond_by = datetime.now(UTC).date() + timedelta(days=7)
    told = {**example(ReferralOffered).model_dump(), **_ids(partner_id), "respond_by": respond_by}
    return ReferralOffered.model_validate(told)


def letter(event: Event, *, sequence: int = 1) -> Letter:
    """An event as routing writes it, under an id of its own."""
    row = row_of(event, Cause.begin(), 0, None, sequence, datetime.now(UTC))
    return Letter(row["subject"].encode(), row["data"].encode(), headers_of(row, source_of("routing")))


def _ids(partner_id: str) -> dict[str, Any]:
    return {"partner_id": partner_id, "referral_id": new_id(), "case_id": new_id()}


def _faults_of(told: _Referral) -> Iterator[str]:
    """What is wrong with all that was said about one referral."""
    if not told.wants_answer and (why := _LEFT_ALONE.get(told.point)):
        yield from (f"{heard.place}: answers {why}" for heard in told.heard[:1])
        return
    if told.known is not None:
        for heard in told.heard:
            if heard.id not in told.known:
                yield f"{heard.place}: {_named(heard.event)} after it was withdrawn"
        return
    if told.point is Point.DECLINED and told.heard and not isinstance(told.heard[0].event, ReplyDeclined):
        yield f"{told.heard[0].place}: {_named(told.heard[0].event)} instead of a reply.declined"
    first = {heard.id: heard for heard in reversed(told.heard)}
    if told.heard and not isinstance(told.heard[0].event, _ANSWERS):
        yield f"{told.heard[0].place}: {_named(told.heard[0].event)} answers no offer"
    for kind in {type(heard.event) for heard in first.values()}:
        places = [heard.place for heard in first.values() if type(heard.event) is kind]
        if len(places) > 1:
            yield f"said {len(places)} times under different ids: {_some(sorted(places))}"
    if {ReplyAccepted, ReplyDeclined} <= {type(heard.event) for heard in told.heard}:
        yield f"both accepted and declined: {_some([heard.place for heard in told.heard])}"


def _named(event: Event) -> str:
    return next(type_ for type_, contract in BY_TYPE.items() if contract.event is type(event))


def _some(texts: Sequence[str] | Iterable[str]) -> str:
    known = list(texts)
    return ", ".join(known[:3]) + (f" and {len(known) - 3} more" if len(known) > 3 else "")
