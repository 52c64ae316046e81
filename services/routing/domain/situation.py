"""What an attempt sees beside the case: the agreement's terms, what partners can take, how much they have."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from services.routing.domain.agreement import Agreements, CapacityMode, Partner
from shared.contracts.base import PartnerId
from shared.contracts.codes import CapacityStatus, Concern


@dataclass(frozen=True, slots=True)
class Room:
    """What a partner can take of a field. `report` names the report that says so, where there is one."""

    status: CapacityStatus
    places: int | None = None
    weeks: int | None = None
    report: str | None = None

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be offered."""
        return self.status is CapacityStatus.NONE or (self.places is not None and self.places <= 0)


_BY_MODE: Final = {
    CapacityMode.OPEN: Room(CapacityStatus.AVAILABLE),
    CapacityMode.REPORTED: Room(CapacityStatus.NONE),
}


@dataclass(slots=True)
class Situation:
    """`rooms` are the reports that count now, by partner and field, with the places left when the attempt began;
    `loads` the open referrals of partners, and `asked` what they were offered since these were counted. It counts what
    the attempt gives away."""

    agreements: Agreements
    rooms: Mapping[tuple[PartnerId, Concern], Room] = field(default_factory=dict)
    loads: Mapping[PartnerId, int] = field(default_factory=dict)
    asked: Counter[PartnerId] = field(default_factory=Counter)
    _given: Counter[str] = field(default_factory=Counter)

    def room(self, partner: Partner, code: Concern) -> Room:
        """What the partner can take of this field now."""
        room = self.rooms.get((partner.id, code))
        if room is None:
            return _BY_MODE[partner.capacity]
        if room.places is None or room.report is None:
            return room
        return Room(room.status, room.places - self._given.get(room.report, 0), room.weeks, room.report)

    def load(self, partner_id: PartnerId) -> int:
        """How many referrals the partner has in hand, those of this attempt included."""
        return self.loads.get(partner_id, 0) + self.asked.get(partner_id, 0)

    def give(self, partner: Partner, codes: Iterable[Concern]) -> tuple[str, ...]:
        """Count a referral that was offered; returns the reports it takes a place of."""
        self.asked[partner.id] += 1
        rooms = (self.rooms.get((partner.id, code)) for code in dict.fromkeys(codes))
        reports = tuple(room.report for room in rooms if room and room.report and room.places is not None)
        self._given.update(reports)
        return reports
