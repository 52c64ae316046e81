"""What several journals tell about one case, merged into one order."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from shared.contracts import BY_TYPE
from wegweiser.wording import sentence


@dataclass(frozen=True, slots=True)
class Entry:
    """One event in the journal of the service that wrote it; `causation_id` names what it follows from."""

    id: str
    causation_id: str
    service: str
    time: datetime
    sequence: int
    topic: str
    sentence: str
    is_sent: bool


def entry_of(service: str, row: Mapping[str, Any]) -> Entry:
    """An entry of a journal as the service shows it."""
    return Entry(
        id=row["id"],
        causation_id=row["causation_id"],
        service=service,
        time=datetime.fromisoformat(row["time"]),
        sequence=row["sequence"],
        topic=row["topic"],
        sentence=sentence_of(row),
        is_sent="sent_at" in row,
    )


def sentence_of(row: Mapping[str, Any]) -> str:
    """What the event of a row says, or else why that cannot be told."""
    contract = BY_TYPE.get(row["type"])
    try:
        return sentence(contract.event.model_validate(row["data"])) if contract else f"{row['type']} (a newer event)"
    except ValidationError:
        return f"{row['type']} (written by another version)"


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """By time, except that an effect never stands before its cause: the clocks of two machines may disagree."""
    by_id = {entry.id: entry for entry in entries}
    effects: dict[str, list[Entry]] = defaultdict(list)
    ready: list[tuple[datetime, int, str]] = []
    for entry in by_id.values():
        if entry.causation_id in by_id and entry.causation_id != entry.id:
            effects[entry.causation_id].append(entry)
        else:
            ready.append(_rank(entry))
    heapq.heapify(ready)
    ordered: list[Entry] = []
    while ready:
        entry = by_id[heapq.heappop(ready)[-1]]
        ordered.append(entry)
        for effect in effects[entry.id]:
            heapq.heappush(ready, _rank(effect))
    return ordered


def _rank(entry: Entry) -> tuple[datetime, int, str]:
    return entry.time, entry.sequence, entry.id
