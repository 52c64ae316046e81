"""A partner's sandbox in Kafka: what is told there and heard from there while its software is on trial."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError
from aiokafka.structs import TopicPartition

from shared.cluster import cluster
from shared.kafka_access import KafkaAccess
from shared.kafka_consumer import Consumer
from shared.topics import sandbox_topics
from wegweiser.letters import ENDINGS, LATER, Letter, a_rejection
from wegweiser.program import Program
from wegweiser.scenario import Point, Trial

BURST: Final = 300
RUNNING: Final = 200
"""Offers before each kill."""
AWAY: Final = 50
"""Offers while nobody reads."""
KILLED_AFTER: Final = (1, 70, 140)
"""Answers to those offers, for each kill."""
WALKS: Final = 50
_TOLD_AGAIN: Final = 20
_LOOK_SECONDS: Final = 0.05
_SINGLE: Final = 0
"""What is told one after another goes to one partition, where it keeps its order."""


class GivenUpError(Exception):
    """There is no use in going on."""


class Sandbox:
    """What is told and heard there, a method for each point."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        consumer: Consumer,
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
        """One in each way after it was answered, and one at once, which crosses with the answer."""
        answered = [await self._offer(Point.WITHDRAWN) for _ in ENDINGS]
        await self._tell(*map(self._trial.ending, answered, ENDINGS))
        at_once, offer = self._trial.offer(Point.WITHDRAWN)
        await self._tell(offer, self._trial.ending(at_once, at_once=True), a_rejection(self._trial.partner_id))
        await self._offer(Point.WITHDRAWN)

    async def tell_what_is_newer(self) -> None:
        """Fields, a type and a version that are not known."""
        await self._tell(*self._trial.newer())
        await self._offer(Point.NEWER)

    async def tell_what_is_no_event(self) -> None:
        """It has to go on after that."""
        await self._tell(*self._trial.no_events())
        await self._offer(Point.NO_EVENT)

    async def tell_every_type(self) -> None:
        """All that may follow an offer, each about another one that was answered."""
        offers = [self._trial.offer(Point.EVERY_TYPE) for _ in LATER]
        await self._tell(*(offer for _, offer in offers))
        await self._answered(Point.EVERY_TYPE)
        await self._tell(*(self._trial.later(id_, event) for (id_, _), event in zip(offers, LATER, strict=True)))
        await self._offer(Point.EVERY_TYPE)

    async def burst(self) -> None:
        """Many, in all partitions."""
        await self._offers(Point.BURST, BURST)
        await self._answered(Point.BURST)

    async def restart(self) -> None:
        """Killed while it answers, where that asks nobody several times; offers come meanwhile. What it answered
        before is told again."""
        again: list[Letter] = []
        for answers in KILLED_AFTER if self._program.is_ours else KILLED_AFTER[:1]:
            await self._offers(Point.RESTART, RUNNING)
            await self._more_answered(Point.RESTART, answers)
            again = again or self._trial.answered(Point.RESTART)[:_TOLD_AGAIN]
            self._program.kill()
            await self._offers(Point.RESTART, AWAY)
            self._program.start()
        await self._send(*again)
        await self._offer(Point.RESTART)

    async def decline(self) -> None:
        """One, by a program that is to accept nothing."""
        self._program.stop()
        self._program.start(" so that it declines what it is offered", BEHAVIOUR="decline")
        await self._offer(Point.DECLINED)

    async def serve(self) -> None:
        """The events of each referral directly one after another, by a program that begins and completes services."""
        self._program.stop()
        self._program.start(" so that it begins what was scheduled and completes what began", BEHAVIOUR="serve")
        for _ in range(WALKS):
            await self._send(*self._trial.walk())
        await self._answered(Point.ORDER)

    async def hear_the_rest(self) -> None:
        """Up to the end that the replies have now; raises `KafkaTimeoutError`."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        try:
            async with asyncio.timeout(self._seconds):
                while any([await self._consumer.position(partition) < end for partition, end in ends.items()]):
                    await self._listen()
        except TimeoutError:
            raise KafkaTimeoutError from None

    async def _offer(self, point: Point) -> str:
        """One that everything before has to be dealt with for."""
        referral_id, offer = self._trial.offer(point)
        await self._tell(offer)
        await self._answered(point)
        return referral_id

    async def _offers(self, point: Point, number: int) -> None:
        await self._send(*(self._trial.offer(point)[1] for _ in range(number)))

    async def _send(self, *letters: Letter) -> None:
        """To the partitions of their keys."""
        for each in letters:
            await self._producer.send(self._queue, each.value, key=each.key, headers=each.headers)
        await self._producer.flush()

    async def _tell(self, *letters: Letter) -> None:
        for each in letters:
            await self._producer.send_and_wait(
                self._queue, each.value, key=each.key, headers=each.headers, partition=_SINGLE
            )

    async def _answered(self, point: Point) -> None:
        await self._until(lambda: not self._trial.unanswered(point))

    async def _more_answered(self, point: Point, number: int) -> None:
        goal = len(self._trial.answered(point)) + number
        await self._until(lambda: len(self._trial.answered(point)) >= goal)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Listen until it is so, as long as answers come."""
        clock = asyncio.get_running_loop().time
        until, answers = clock() + self._seconds, self._trial.answers
        while not is_so():
            if self._program.ended_by_itself:
                raise GivenUpError(f"the consumer ended; {self._program.log} tells why")
            if self._trial.answers > answers:
                until, answers = clock() + self._seconds, self._trial.answers
            if clock() > until:
                raise GivenUpError(f"waited {self._seconds} seconds for an answer")
            await self._listen()

    async def _listen(self) -> None:
        for records in (await self._consumer.getmany(timeout_ms=int(_LOOK_SECONDS * 1000))).values():
            for record in records:
                self._trial.hear(record)


@asynccontextmanager
async def opened(bus: KafkaAccess, trial: Trial, program: Program, seconds: int) -> AsyncIterator[Sandbox]:
    """Connected, and listening from where the replies end now."""
    queue, replies = sandbox_topics(trial.partner_id)
    consumer = Consumer(**bus.options, enable_auto_commit=False, auto_offset_reset="latest")
    producer = AIOKafkaProducer(**bus.options, acks="all", linger_ms=5)
    async with consumer, producer:
        partitions = [TopicPartition(replies.name, number) for number in range(replies.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_end(*partitions)
        yield Sandbox(producer, consumer, trial, queue.name, program, seconds)


async def is_read(bus: KafkaAccess, group: str) -> bool:
    """Whether some program of this group reads already."""
    async with cluster(bus) as asked:
        return group in await asked.groups() and await asked.is_active(group)


async def readers(bus: KafkaAccess, partner_id: str) -> list[str]:
    """Which groups of the partner read the sandbox's queue, and how far behind each is."""
    queue, _ = sandbox_topics(partner_id)
    async with cluster(bus) as asked:
        ends = await asked.ends(await asked.partitions([queue.name]))
        lines = []
        for group in sorted(name for name in await asked.groups() if name.startswith(f"{partner_id}.")):
            committed = await asked.committed(group)
            is_there = "is connected" if await asked.is_active(group) else "has no program connected"
            behind = sum(max(end - committed[each], 0) for each, end in ends.items() if each in committed)
            where = f"{behind} events behind in {queue.name}" if ends.keys() & committed else f"never read {queue.name}"
            lines.append(f"group {group} {is_there}, {where}")
        return lines or [f"no program ever joined a group {partner_id}.…"]
