"""Reads the output topics and the store of a toy service and states every broken promise."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka.structs import ConsumerRecord
from toy.records import Written
from toy.service import Tally
from toy.trial import Trial

Row = dict[str, Any]


async def violations(
    trial: Trial, accepted: Sequence[Written], *, in_order: bool = True, aside: Collection[str] = ()
) -> list[str]:
    """What is wrong after everything `accepted` should have reached its end; empty if the promises were kept.

    `accepted` is in the order of its first arrival, which each case's effects have to follow where `in_order`;
    `aside` names the events that must have been set aside instead.
    """
    rows = await trial.rows()
    found = [
        *effects_violated(await trial.tallies(), accepted, in_order=in_order, aside=aside),
        *numbers_violated(await trial.tallies(), rows),
        *(f"row {row['_id']} was never sent" for row in rows if "unsent" in row),
    ]
    for topic in (trial.names.outgoing, trial.names.second_outgoing):
        told = [row for row in rows if row["topic"] == topic]
        found += bus_violated(topic, await trial.records_of(topic), told)
    return found


def effects_violated(
    tallies: Mapping[str, Tally], accepted: Sequence[Written], *, in_order: bool, aside: Collection[str]
) -> list[str]:
    """Whether each accepted event took effect once, in its case, in order."""
    wanted: dict[str, dict[str, None]] = defaultdict(dict)
    for event in accepted:
        if event.id not in aside:
            wanted[event.case_id][event.id] = None
    found = [f"case {case} has effects nobody caused" for case in tallies if case not in wanted]
    for case, events in wanted.items():
        effects = list(tallies[case].effects) if case in tallies else []
        found += [f"{case}: {event} had no effect" for event in events if event not in effects]
        found += [f"{case}: {event} had an effect without a cause" for event in effects if event not in events]
        if len(effects) != len(set(effects)):
            found.append(f"{case}: an event took effect twice")
        if in_order and effects != list(events) and set(effects) == set(events):
            found.append(f"{case}: effects are out of order")
    return found


def numbers_violated(tallies: Mapping[str, Tally], rows: Sequence[Row]) -> list[str]:
    """Whether each effect was told once and each case's rows are numbered without gaps."""
    numbers: dict[str, list[int]] = defaultdict(list)
    causes: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        numbers[row["stream"]].append(row["sequence"])
        causes[row["stream"]].add(row["causation_id"])
    found = []
    for case, tally in tallies.items():
        if sorted(numbers[case]) != list(range(1, tally.sequence + 1)):
            found.append(f"{case}: numbers {sorted(numbers[case])} do not count up to {tally.sequence}")
        if causes[case] != set(tally.effects):
            found.append(f"{case}: what was told does not follow from what took effect")
        if not 1 <= tally.version <= len(tally.effects):
            found.append(f"{case}: version {tally.version} after {len(tally.effects)} effects")
    return found


def bus_violated(topic: str, records: Sequence[ConsumerRecord], rows: Sequence[Row]) -> list[str]:
    """Whether a topic carries each row, first occurrences in order, and nothing else but true repetitions."""
    by_id = {row["_id"]: row for row in rows}
    first: dict[str, ConsumerRecord] = {}
    last: dict[str, int] = {}
    found = []
    for record in records:
        headers = dict(record.headers)
        id_, subject = headers["ce_id"].decode(), headers["ce_subject"].decode()
        if id_ not in by_id:
            found.append(f"{topic}: {id_} is on the bus but in no outbox")
        elif record.value.decode() != by_id[id_]["data"]:
            found.append(f"{topic}: {id_} says something else than the outbox")
        if id_ in first:
            if (record.value, record.headers) != (first[id_].value, first[id_].headers):
                found.append(f"{topic}: {id_} was repeated with another content")
            continue
        first[id_] = record
        if headers["ce_sequence"] == b"0":  # no order is promised
            continue
        number = int(headers["ce_sequence"])
        if number <= last.get(subject, 0):
            found.append(f"{topic}: {subject} went back from {last[subject]} to {number}")
        last[subject] = number
    return found + [f"{topic}: {id_} is missing" for id_ in by_id.keys() - first.keys()]
