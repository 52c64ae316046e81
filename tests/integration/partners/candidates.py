"""Partners that were let in, whose software is tried out, and the samples they may have."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import confluent_kafka
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition
from dotenv import dotenv_values
from typer.testing import CliRunner, Result

from deploy.backends import Backends
from deploy.embedded.java import kafka_jars
from shared.kafka_access import KafkaAccess
from shared.topics import sandbox_topics, topics_of_partner
from wegweiser.cli import app
from wegweiser.letters import an_offer, letter
from wegweiser.platform import onboarding_of
from wegweiser.settings import PlatformSettings

SAMPLES = Path(__file__).parents[3] / "examples" / "partners"
CACHE = Path(__file__).parents[3] / "var" / "cache" / "jars"
PYTHON = SAMPLES / "python" / "consumer.py"


class Said(NamedTuple):
    """How a check ended, what it printed and what the program did."""

    exit_code: int
    output: str
    log: str


class Candidate:
    """One of them, and its operator."""

    def __init__(self, id_: str, folder: Path, kafka: KafkaAccess) -> None:
        self.id = id_
        self.folder = folder
        self.kafka = kafka
        self.answers: set[str] = set()

    @property
    def own(self) -> dict[str, str]:
        """Its credentials file."""
        told = dotenv_values(self.folder / "partners" / f"{self.id}.env")
        return {name: value or "" for name, value in told.items()}

    @property
    def environment(self) -> dict[str, str]:
        """The same, its sandbox, and where it remembers what it dealt with."""
        queue, replies = sandbox_topics(self.id)
        return {**self.own, "QUEUE": queue.name, "REPLIES": replies.name, "STATE_FILE": str(self.folder / "known")}

    @property
    def operators(self) -> dict[str, str]:
        """What its operator has in the environment."""
        return {
            **self.kafka.environment,
            "VAR_DIR": str(self.folder),
            "STATE_FILE": str(self.folder / "known"),
        }

    async def offer(self, number: int) -> list[str]:
        """Tell of so many new referrals, in one partition."""
        offers = [an_offer(self.id) for _ in range(number)]
        async with AIOKafkaProducer(**self.kafka.options) as producer:
            for offer in map(letter, offers):
                await producer.send_and_wait(
                    self.environment["QUEUE"], offer.value, offer.key, partition=0, headers=offer.headers
                )
        return [offer.referral_id for offer in offers]

    async def forget_all_events(self) -> None:
        """As the queue does after its time."""
        admin = AIOKafkaAdminClient(**self.kafka.options)
        await admin.start()
        await admin.delete_records({TopicPartition(self.environment["QUEUE"], 0): RecordsToDelete(-1)})
        await admin.close()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Callable[[int], Awaitable[bool]]]:
        """Whether so many referrals were answered."""
        consumer = AIOKafkaConsumer(self.environment["REPLIES"], **self.kafka.options, auto_offset_reset="earliest")
        async with consumer:

            async def answered(number: int) -> bool:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    self.answers.update((record.key or b"").decode() for record in records)
                return len(self.answers) >= number

            yield answered

    async def order(self, *words: str, typed: str = "", **environment: str) -> Result:
        """What `wegweiser partner` says, and what is typed meanwhile."""
        return await asyncio.to_thread(
            CliRunner(env={**self.operators, **environment}).invoke, app, ["partner", *words], typed
        )

    async def check(self, command: str, *options: str) -> Said:
        """What `wegweiser partner check` says, in a process of its own."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wegweiser", "partner", "check", self.id, "--command", command, *options),
            env={**os.environ, **self.operators},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        log = self.folder / "log" / f"check-{self.id}.log"
        assert process.returncode is not None
        return Said(process.returncode, said.decode(), log.read_text() if log.exists() else "")


@asynccontextmanager
async def a_candidate(backends: Backends, folder: Path) -> AsyncIterator[Candidate]:
    """Let in, and out again."""
    if not (backends.broker and backends.database):
        pytest.skip("BACKEND=external: users and rights are not ours")
    made = Candidate(f"p-{uuid4().hex[:8]}", folder, backends.kafka)
    onboarding = onboarding_of(PlatformSettings(var_dir=folder), backends.kafka)
    await asyncio.to_thread(lambda: [step.do() for step in onboarding.adding(made.id)])
    try:
        yield made
    finally:
        await asyncio.to_thread(lambda: [step.do() for step in onboarding.removing(made.id)])
        await _remove_topics_of(made)


async def _remove_topics_of(made: Candidate) -> None:
    admin = AIOKafkaAdminClient(**made.kafka.options)
    await admin.start()
    await admin.delete_topics([topic.name for topic in topics_of_partner(made.id)])
    await admin.close()


@asynccontextmanager
async def side_by_side(
    backends: Backends, folder: Path, checks: Mapping[str, Callable[[Candidate], Awaitable[Said]]]
) -> AsyncIterator[Mapping[str, "asyncio.Task[Said]"]]:
    """Several checks at once, each of a candidate of its own: most of their time is waiting."""

    async def one(name: str, check: Callable[[Candidate], Awaitable[Said]]) -> Said:
        async with a_candidate(backends, folder / name) as candidate:
            return await check(candidate)

    tasks = {name: asyncio.create_task(one(name, check)) for name, check in checks.items()}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.wait(tasks.values())


def python() -> str:
    """How this sample is started, as each of these; skips where what it needs is not installed."""
    return f"{sys.executable} {PYTHON}"


def javascript() -> str:
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    if not (SAMPLES / "javascript" / "node_modules").exists():
        pytest.skip("its packages are not installed: make test does that where npm is")
    return f"node {SAMPLES / 'javascript' / 'consumer.js'}"


def java() -> str:
    if not (shutil.which("java") and shutil.which("javac")):
        pytest.skip("no JDK is installed")
    jars = [*map(str, kafka_jars(CACHE))]
    return f"java -cp {':'.join(jars)} {SAMPLES / 'java' / 'Consumer.java'}"


def shell() -> str:
    if not (shutil.which("kcat") and shutil.which("jq")):
        pytest.skip("kcat or jq is not installed")
    # Debian's librdkafka is too old to sign in; the one that our own wheel brings takes its place.
    [library] = Path(confluent_kafka.__file__).parents[1].glob("confluent_kafka.libs/librdkafka*")
    return f"env LD_PRELOAD={library} {SAMPLES / 'shell' / 'consumer.sh'}"


LANGUAGES = (python, javascript, java, shell)
