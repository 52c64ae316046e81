"""`wegweiser partner check` and `send-test-event`: a partner's software on trial in its sandbox, as an operator."""

from collections.abc import Iterable
from typing import Annotated, Final

import typer
from aiokafka import AIOKafkaProducer
from dotenv import dotenv_values
from pydantic import ValidationError

from deploy.handover import CREDENTIALS
from shared.contracts import BY_TYPE, Contract
from shared.contracts.base import new_id
from shared.contracts.routing import PARTNER_TOPIC
from shared.kafka_access import KafkaAccess
from shared.topics import sandbox_topics
from wegweiser.addresses import Bus, found, stop
from wegweiser.bus import ask
from wegweiser.catalogue import example
from wegweiser.letters import Letter, letter
from wegweiser.partner_id import Id
from wegweiser.program import Program
from wegweiser.sandbox import GivenUpError, is_read, opened, readers
from wegweiser.scenario import Point, Trial
from wegweiser.settings import platform_settings

_SHOWN: Final = 5
"""Faults of a point; a fault in everything shows in the first ones."""


def check(
    id_: Id,
    command: Annotated[str | None, typer.Option(help="starts the consumer; without it you are asked to")] = None,
    serves: Annotated[bool, typer.Option("--serves", help="it can be told to begin and complete services")] = False,
    seconds: Annotated[int, typer.Option(min=1, help="how long an answer may take after the one before")] = 60,
) -> None:
    """Try out a partner's consumer in its sandbox: offers, repetitions, withdrawals, a burst, restarts. It is told the
    topics in QUEUE and REPLIES and its group in GROUP, beside what stands in the partner's credentials file, and in
    BEHAVIOUR, where that is `decline`, that it is to accept nothing, and where it is `serve`, that it is to begin what
    was scheduled and to complete what began."""
    settings = platform_settings()
    credentials = settings.var_dir / CREDENTIALS / f"{id_}.env"
    if not credentials.exists():
        stop(f"{credentials} is not there; wegweiser partner add {id_} makes it", code=1)
    queue, replies = sandbox_topics(id_)
    group = f"{id_}.sandbox"
    if ask(is_read(found(Bus), group)):
        stop(
            f"a program of the group {group} is connected; end it first (one that was killed counts for a while)",
            code=1,
        )
    told = {name: value or "" for name, value in dotenv_values(credentials).items()}
    environment = {**told, "QUEUE": queue.name, "REPLIES": replies.name, "GROUP": group}
    log = settings.var_dir / "log" / f"check-{id_}.log"
    log.unlink(missing_ok=True)
    trial = Trial(id_)
    points = [point for point in Point if serves or point is not Point.ORDER]
    typer.echo(f"offers on {queue.name}, answers on {replies.name}; the first offer has to be accepted")
    tried = ask(_conducted(found(Bus), trial, Program(command, environment, log), points, seconds))
    if not _told(trial, points, tried):
        raise typer.Exit(1)


def send_test_event(
    id_: Id,
    type_: Annotated[str, typer.Option("--type", help="as in docs/events.md, short or whole")] = "referral.offered",
    referral: Annotated[str | None, typer.Option(metavar="ID", help="about this referral instead of a new one")] = None,
) -> None:
    """Put one event that is about nobody into a partner's sandbox queue."""
    whole = type_ if type_ in BY_TYPE else f"{Contract.PREFIX}{type_}.v1"
    contract = BY_TYPE.get(whole)
    if contract is None or contract.topic != PARTNER_TOPIC:
        known = (each.type for each in BY_TYPE.values() if each.topic == PARTNER_TOPIC)
        stop(f"{type_} is nothing that a partner receives; there are {', '.join(known)}", code=1)
    own = {contract.subject: referral or new_id(), "partner_id": id_}
    try:
        event = contract.event.model_validate({**example(contract.event).model_dump(), **own})
    except ValidationError:
        stop(f"{referral} is no id of a referral, which is a UUID in small letters", code=1)
    queue, _ = sandbox_topics(id_)
    place = ask(_sent(found(Bus), queue.name, letter(event)))
    typer.echo(f"{contract.type} about {contract.subject_of(event)} lies at {place}")


async def _sent(bus: KafkaAccess, topic: str, told: Letter) -> str:
    async with AIOKafkaProducer(**bus.options, acks="all") as producer:
        at = await producer.send_and_wait(topic, told.value, key=told.key, headers=told.headers)
    return f"{at.topic}/{at.partition}/{at.offset}"


def _told(trial: Trial, points: Iterable[Point], tried: Iterable[Point]) -> bool:
    """Say how each point went; whether all are passed. What was never heard has no form."""
    passed = True
    for point in points:
        faults = trial.verdict(point)
        is_tried = trial.has_heard if point is Point.FORM else point in tried
        if is_tried and not faults:
            typer.echo(f"passed  {point.title}")
            continue
        passed = False
        typer.echo(f"{'FAILED' if faults else 'not tried'}  {point.title}: {point.read_on}")
        for fault in faults[:_SHOWN]:
            typer.echo(f"        {fault}")
        if more := faults[_SHOWN:]:
            typer.echo(f"        and {len(more)} more")
    if trial.strange:
        typer.echo(
            f"{trial.strange} replies were about what this run did not tell of, as left over from an earlier one"
        )
    return passed


async def _conducted(
    bus: KafkaAccess, trial: Trial, program: Program, points: Iterable[Point], seconds: int
) -> list[Point]:
    """Tell the whole scenario; returns the points that were tried."""
    tried: list[Point] = []
    async with opened(bus, trial, program, seconds) as sandbox:
        acts = {
            Point.OFFER: sandbox.offer,
            Point.REPEATED: sandbox.repeat,
            Point.WITHDRAWN: sandbox.withdraw,
            Point.NEWER: sandbox.tell_what_is_newer,
            Point.NO_EVENT: sandbox.tell_what_is_no_event,
            Point.EVERY_TYPE: sandbox.tell_every_type,
            Point.BURST: sandbox.burst,
            Point.RESTART: sandbox.restart,
            Point.DECLINED: sandbox.decline,
            Point.ORDER: sandbox.serve,
        }
        with program.running():
            for point in (each for each in points if each in acts):
                typer.echo(f"…       {point.title}")
                tried.append(point)
                try:
                    await acts[point]()
                except GivenUpError as error:
                    trial.fail(point, str(error))
                    for line in await readers(bus, trial.partner_id):
                        trial.fail(point, line)
                    break
            await sandbox.hear_the_rest()
    return tried
