"""A partner's software on trial: what it is told in its sandbox, and what is wrong with what it answers. No I/O."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from aiokafka import ConsumerRecord

from shared.contracts import Event
from shared.contracts.partners import (
    CapacityReported,
    ReplyAccepted,
    ReplyClarificationRequested,
    ReplyCompleted,
    ReplyDeclined,
    ReplyStarted,
)
from shared.contracts.routing import (
    PartnerEvent,
    ReferralOffered,
    ReferralScheduled,
    ReferralWithdrawn,
    ServiceStarted,
)
from wegweiser.hearing import Heard, WrongError, heard, place_of
from wegweiser.letters import (
    NO_EVENTS,
    Letter,
    about,
    an_offer,
    letter,
    of_another_type,
    of_another_version,
    with_more,
    without_headers,
)

_ANSWERS: Final = (ReplyAccepted, ReplyDeclined, ReplyClarificationRequested)
"""What may be said first about an offer."""
_WALK: Final[tuple[type[PartnerEvent], ...]] = (ReferralScheduled, ServiceStarted)
_SERVED: Final = (ReplyAccepted, ReplyStarted, ReplyCompleted)
"""What is said about an offer and those two, in this order."""


class Point(Enum):
    """What is tried, in its order, and where docs/partners.md tells more."""

    OFFER = ("an offer is accepted, or asked about first", "first-run")
    FORM = ("every reply can be read", "replies")
    REPEATED = ("the same event again has no second effect", "duplicates")
    WITHDRAWN = ("nothing more is said about what was withdrawn", "withdrawn")
    NEWER = ("what is newer than the software is left alone or read as far as it is known", "versions")
    NO_EVENT = ("what is no event stops nothing", "errors")
    EVERY_TYPE = ("no type of event stops it", "what-you-get")
    BURST = ("every offer of a burst is answered once", "order")
    RESTART = ("killed and started again, it loses nothing and does nothing twice", "restart")
    DECLINED = ("an offer that is not wanted is declined with a reason", "replies")
    ORDER = ("what is said about one referral follows the order of its events", "order")

    def __init__(self, title: str, anchor: str) -> None:
        self.title = title
        self.read_on = f"docs/partners.md#{anchor}"


_LEFT_ALONE: Final = {
    Point.NEWER: "an event whose type it cannot know",
    Point.NO_EVENT: "what is no event",
}
"""What wants no answer at these points."""


@dataclass(slots=True)
class _Referral:
    point: Point
    offer: ReferralOffered
    letter: Letter
    wants_answer: bool = True
    known: frozenset[str] | None = None
    """The ids of what was said before it ended, where an answer was awaited first."""
    heard: list[Heard] = field(default_factory=list)

    @property
    def is_awaited(self) -> bool:
        kinds = {type(each.event) for each in self.heard}
        return self.wants_answer and not (kinds.issuperset(_SERVED) if self.point is Point.ORDER else kinds)


class Trial:
    """One run: tells of referrals that are nobody's, hears what is said about them, and judges it."""

    def __init__(self, partner_id: str) -> None:
        self.partner_id = partner_id
        self._referrals: dict[str, _Referral] = {}
        self._faults: defaultdict[Point, list[str]] = defaultdict(list)
        self._first_with: dict[str, Heard] = {}
        """By the id of the reply."""
        self.answers = 0
        """Replies that were the first of their kind about a referral."""
        self.has_heard = False
        """Whether anything was said at all."""
        self.strange = 0
        """Replies about referrals that this run does not know."""

    def offer(self, point: Point) -> tuple[str, Letter]:
        """An offer that has to be answered; its referral id comes with it."""
        offer = an_offer(self.partner_id)
        told = self._referrals[offer.referral_id] = _Referral(point, offer, letter(offer))
        return offer.referral_id, told.letter

    def later(self, referral_id: str, event: type[PartnerEvent]) -> Letter:
        """What happens to it after its offer."""
        return about(self._referrals[referral_id].offer, event)

    def ending(
        self, referral_id: str, event: type[PartnerEvent] = ReferralWithdrawn, *, at_once: bool = False
    ) -> Letter:
        """It ends: `at_once`, before an answer is awaited, so that there may be none."""
        told = self._referrals[referral_id]
        told.wants_answer = False
        told.known = None if at_once else frozenset(each.id for each in told.heard)
        return self.later(referral_id, event)

    def newer(self) -> list[Letter]:
        """An offer with more in it than is known, to be answered; an unknown version and type, to be left alone."""
        _, known = self.offer(Point.NEWER)
        return [
            with_more(known),
            of_another_version(self._unanswerable(Point.NEWER)),
            of_another_type(self._unanswerable(Point.NEWER)),
        ]

    def no_events(self) -> list[Letter]:
        """What nobody should have written."""
        return [
            without_headers(),
            *(replace(self._unanswerable(Point.NO_EVENT), value=value) for value in NO_EVENTS),
        ]

    def walk(self) -> list[Letter]:
        """An offer and what follows up to its service, all of which has to be answered in its order."""
        referral_id, offer = self.offer(Point.ORDER)
        offered = self._referrals[referral_id].offer
        return [offer, *(about(offered, event, step=step) for step, event in enumerate(_WALK, 1))]

    def hear(self, record: ConsumerRecord) -> None:
        """Take a record of the sandbox's replies in; leftovers of earlier runs count for nothing."""
        self.has_heard = True
        try:
            reply = heard(record, self.partner_id)
        except WrongError as error:
            self._faults[Point.FORM].append(f"{place_of(record)}: {error}")
            return
        self._faults[Point.FORM] += (f"{reply.place}: {slip}" for slip in reply.slips)
        first = self._first_with.setdefault(reply.id, reply)
        if (first.subject, first.type) != (reply.subject, reply.type):
            same = f"the ce_id {reply.id} of the {first.type} about {first.subject}"
            self._faults[Point.FORM].append(f"{reply.place}: has {same}, so it takes no effect")
        if told := self._referrals.get(reply.subject):
            self.answers += reply.type not in {each.type for each in told.heard}
            told.heard.append(reply)
        else:
            self.strange += not isinstance(reply.event, CapacityReported)

    def unanswered(self, point: Point) -> list[str]:
        """The referrals that an answer is awaited to."""
        return [id_ for id_, told in self._referrals.items() if told.point is point and told.is_awaited]

    def answered(self, point: Point) -> list[Letter]:
        """The offers that were answered."""
        return [told.letter for told in self._referrals.values() if told.point is point and told.heard]

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

    def _unanswerable(self, point: Point) -> Letter:
        referral_id, offer = self.offer(point)
        self._referrals[referral_id].wants_answer = False
        return offer


def _faults_of(told: _Referral) -> Iterator[str]:
    """What is wrong with all that was said about one referral."""
    if not told.wants_answer and (why := _LEFT_ALONE.get(told.point)):
        yield from (f"{each.place}: answers {why}" for each in told.heard[:1])
    elif told.known is not None:
        yield from (f"{each.place}: {each.type} after it ended" for each in told.heard if each.id not in told.known)
    elif told.heard:
        yield from _faults_of_first(told.point, told.heard[0])
        yield from _faults_of_all(told.heard)


def _faults_of_first(point: Point, first: Heard) -> Iterator[str]:
    if not isinstance(first.event, _ANSWERS):
        yield f"{first.place}: {first.type} answers no offer"
    elif point is Point.DECLINED and not isinstance(first.event, ReplyDeclined):
        yield f"{first.place}: {first.type} instead of a reply.declined"
    elif point is Point.OFFER and isinstance(first.event, ReplyDeclined):
        yield f"{first.place}: {first.type}; this one has to be accepted, or asked about first"


def _faults_of_all(replies: Sequence[Heard]) -> Iterator[str]:
    first: dict[str, Heard] = {}
    for each in replies:
        first.setdefault(each.id, each)
    places: defaultdict[type[Event], list[str]] = defaultdict(list)
    for each in first.values():
        places[type(each.event)].append(each.place)
    for several in places.values():
        if len(several) > 1:
            yield f"said {len(several)} times under different ids: {_some(sorted(several))}"
    if {ReplyAccepted, ReplyDeclined} <= places.keys():
        yield f"both accepted and declined: {_some([each.place for each in replies])}"
    walked = [kind for kind in places if kind in _SERVED]
    if walked != sorted(walked, key=_SERVED.index):
        yield f"not in the order of its events: {_some([each.place for each in replies])}"


def _some(texts: Sequence[str] | Iterable[str]) -> str:
    known = list(texts)
    return ", ".join(known[:3]) + (f" and {len(known) - 3} more" if len(known) > 3 else "")
