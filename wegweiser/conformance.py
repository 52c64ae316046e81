"""`wegweiser partner check` and `send-test-event`: a partner's software on trial in its sandbox, as an operator."""

import asyncio
import os
import shlex
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition
from dotenv import dotenv_values
from pydantic import ValidationError

from deploy.embedded.daemon import tied
from deploy.handover import CREDENTIALS
from shared.contracts import BY_TYPE, Contract
from shared.contracts.base import new_id
from shared.contracts.routing import PARTNER_TOPIC
from shared.kafka_access import KafkaAccess
from shared.topics import sandbox_topics
from wegweiser.addresses import Bus, found, stop
from wegweiser.bus import ask
from wegweiser.catalogue import example
from wegweiser.partner_id import Id
from wegweiser.scenario import Letter, Point, Trial, letter
from wegweiser.settings import platform_settings

BURST: Final = 300
HALF: Final = 300
"""Offers before the restart, and as many while nobody reads."""
_DECLINE: Final = {"BEHAVIOUR": "decline"}
_STOP_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.05
_SINGLE: Final = 0
"""What is told one after another goes to one partition, where it keeps its order."""

Say = Callable[[str], None]


class GivenUpError(Exception):
    """There is no use in going on."""


class Program:
    """A partner's consumer as a process that can be killed; without a command its owner is asked for that."""

    def __init__(self, command: str | None, environment: dict[str, str], log: Path) -> None:
        self._command = command
        self._environment = environment
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, how: str = "", **settings: str) -> None:
        """Start it with these settings, or have it started, and told `how`."""
        if self._command is None:
            typer.prompt(f"Start your consumer{how}, then press Enter", default="", show_default=False)
            return
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # it is what its owner typed
                tied(shlex.split(self._command)),
                env={**os.environ, **self._environment, **settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Gently; what does not end is killed."""
        if self._command is None:
            typer.prompt("Stop your consumer, then press Enter", default="", show_default=False)
        elif self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
            self.kill()

    def kill(self) -> None:
        """At once, with all that it started."""
        if self._command is None:
            typer.prompt("Kill your consumer (kill -9), then press Enter", default="", show_default=False)
        elif self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def ended_by_itself(self) -> bool:
        """Whether it has stopped though nobody killed it."""
        return self._process is not None and self._process.poll() is not None

    @contextmanager
    def running(self) -> Iterator[None]:
        """It runs meanwhile; what was started is stopped in the end."""
        self.start()
        try:
            yield
        finally:
            if self._command is not None:
                self.stop()


def check(
    id_: Id,
    command: Annotated[str | None, typer.Option(help="starts the consumer; without it you are asked to")] = None,
    seconds: Annotated[int, typer.Option(min=1, help="how long an answer may take")] = 60,
) -> None:
    """Try out a partner's consumer in its sandbox: offers, repetitions, withdrawals, a burst, a restart. It is told the
    topics in QUEUE and REPLIES and its group in GROUP, beside what stands in the partner's credentials file, and in
    BEHAVIOUR, where that is `decline`, that it is to accept nothing."""
    settings = platform_settings()
    credentials = settings.var_dir / CREDENTIALS / f"{id_}.env"
    if not credentials.exists():
        stop(f"{credentials} is not there; wegweiser partner add {id_} makes it", code=1)
    queue, replies = sandbox_topics(id_)
    told = {name: value or "" for name, value in dotenv_values(credentials).items()}
    environment = {**told, "QUEUE": queue.name, "REPLIES": replies.name, "GROUP": f"{id_}.sandbox"}
    program = Program(command, environment, settings.var_dir / "log" / f"check-{id_}.log")
    trial = Trial(id_)
    typer.echo(f"offers on {queue.name}, answers on {replies.name}")
    tried = ask(_conducted(found(Bus), trial, id_, program, seconds))
    if not _told(trial, tried):
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


def _told(trial: Trial, tried: Iterable[Point]) -> bool:
    """Say how each point went; whether all are passed. What was never heard has no form."""
    passed = True
    for point in Point:
        faults = trial.verdict(point)
        is_tried = trial.has_heard if point is Point.FORM else point in tried
        if is_tried and not faults:
            typer.echo(f"passed  {point.title}")
            continue
        passed = False
        typer.echo(f"{'FAILED' if faults else 'not tried'}  {point.title}: {point.read_on}")
        for fault in faults:
            typer.echo(f"        {fault}")
    return passed


async def _conducted(bus: KafkaAccess, trial: Trial, partner_id: str, program: Program, seconds: int) -> list[Point]:
    """Tell the whole scenario; returns the points that were tried."""
    tried: list[Point] = []
    async with _sandbox(bus, trial, partner_id, program, seconds) as sandbox:
        with program.running():
            for point, act in (
                (Point.OFFER, sandbox.offer),
                (Point.REPEATED, sandbox.repeat),
                (Point.WITHDRAWN, sandbox.withdraw),
                (Point.NEWER, sandbox.tell_what_is_newer),
                (Point.NO_EVENT, sandbox.tell_what_is_no_event),
                (Point.BURST, sandbox.burst),
                (Point.RESTART, sandbox.restart),
                (Point.DECLINED, sandbox.decline),
            ):
                typer.echo(f"…       {point.title}")
                tried.append(point)
                try:
                    await act()
                except GivenUpError as error:
                    trial.fail(point, str(error))
                    break
            await sandbox.hear_the_rest()
    return tried


class _Sandbox:
    """What is told and heard there."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        consumer: AIOKafkaConsumer,
        trial: Trial,
        queue: str,
        program: Program,
        seconds: int,
    ) -> None:
        self._producer = producer
        self._consumer = consumer
        self._trial = trial
        self._queue = queue
        self._program = program
        self._seconds = seconds

    async def offer(self) -> None:
        """One."""
        await self._offer(Point.OFFER)

    async def repeat(self) -> None:
        """An offer, twice."""
        _, offer = self._trial.offer(Point.REPEATED)
        await self._tell(offer, offer)
        await self._offer(Point.REPEATED)

    async def withdraw(self) -> None:
        """One after it was answered, and one at once, which crosses with the answer."""
        answered = await self._offer(Point.WITHDRAWN)
        await self._tell(self._trial.withdrawal(answered))
        at_once, offer = self._trial.offer(Point.WITHDRAWN)
        await self._tell(offer, self._trial.withdrawal(at_once, at_once=True), self._trial.rejection())
        await self._offer(Point.WITHDRAWN)

    async def tell_what_is_newer(self) -> None:
        """Fields, a type and a version that are not known."""
        await self._tell(*self._trial.newer())
        await self._offer(Point.NEWER)

    async def tell_what_is_no_event(self) -> None:
        """It has to go on after that."""
        await self._tell(*self._trial.no_events())
        await self._offer(Point.NO_EVENT)

    async def burst(self) -> None:
        """Many, in all partitions."""
        await self._offers(Point.BURST, BURST)
        await self._answered(Point.BURST)

    async def restart(self) -> None:
        """Killed at the first answers to a burst, which goes on meanwhile."""
        await self._offers(Point.RESTART, HALF)
        await self._until(lambda: len(self._trial.unanswered(Point.RESTART)) < HALF, "none of a burst is answered")
        self._program.kill()
        await self._offers(Point.RESTART, HALF)
        self._program.start()
        await self._answered(Point.RESTART)

    async def decline(self) -> None:
        """One, by a program that is to accept nothing."""
        self._program.stop()
        self._program.start(" so that it declines what it is offered", **_DECLINE)
        await self._offer(Point.DECLINED)

    async def hear_the_rest(self) -> None:
        """Up to the end that the replies have now."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        while any([await self._consumer.position(partition) < end for partition, end in ends.items()]):
            await self._listen()

    async def _offer(self, point: Point) -> str:
        """One that everything before has to be dealt with for."""
        referral_id, offer = self._trial.offer(point)
        await self._tell(offer)
        await self._answered(point)
        return referral_id

    async def _offers(self, point: Point, number: int) -> None:
        for _ in range(number):
            _, offer = self._trial.offer(point)
            await self._producer.send(self._queue, offer.value, key=offer.key, headers=offer.headers)
        await self._producer.flush()

    async def _tell(self, *letters: Letter) -> None:
        for each in letters:
            await self._producer.send_and_wait(
                self._queue, each.value, key=each.key, headers=each.headers, partition=_SINGLE
            )

    async def _answered(self, point: Point) -> None:
        await self._until(lambda: not self._trial.unanswered(point), None)

    async def _until(self, is_so: Callable[[], bool], otherwise: str | None) -> None:
        """Listen until it is so. Without `otherwise` the trial itself knows what is missing."""
        clock = asyncio.get_running_loop().time
        until = clock() + self._seconds
        while not is_so():
            if self._program.ended_by_itself:
                raise GivenUpError(f"the consumer ended; {self._program.log} tells why")
            if clock() > until:
                raise GivenUpError(otherwise or f"waited {self._seconds} seconds")
            await self._listen()

    async def _listen(self) -> None:
        for records in (await self._consumer.getmany(timeout_ms=int(_LOOK_SECONDS * 1000))).values():
            for record in records:
                self._trial.hear(record)


@asynccontextmanager
async def _sandbox(
    bus: KafkaAccess, trial: Trial, partner_id: str, program: Program, seconds: int
) -> AsyncIterator[_Sandbox]:
    """Connected, and listening from where the replies end now."""
    queue, replies = sandbox_topics(partner_id)
    consumer = AIOKafkaConsumer(**bus.options, enable_auto_commit=False, auto_offset_reset="latest")
    producer = AIOKafkaProducer(**bus.options, acks="all", linger_ms=5)
    async with consumer, producer:
        partitions = [TopicPartition(replies.name, number) for number in range(replies.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        yield _Sandbox(producer, consumer, trial, queue.name, program, seconds)
