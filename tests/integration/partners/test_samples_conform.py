"""The samples pass what a partner's own software has to pass, and software that does something wrong does not."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import takewhile
from pathlib import Path
from uuid import uuid4

import confluent_kafka
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition
from dotenv import dotenv_values
from toy.trial import eventually
from typer.testing import CliRunner, Result

from deploy.backends import Backends
from deploy.embedded.daemon import tied
from deploy.embedded.java import kafka_jars
from shared.kafka_access import KafkaAccess
from shared.topics import sandbox_topics, topics_of_partner
from wegweiser.cli import app
from wegweiser.conformance import Program
from wegweiser.platform import onboarding_of
from wegweiser.scenario import Point, an_offer, letter
from wegweiser.settings import PlatformSettings

SAMPLES = Path(__file__).parents[3] / "examples" / "partners"
CACHE = Path(__file__).parents[3] / "var" / "cache" / "jars"
PATIENCE = 12
"""Seconds that a fault takes to show."""
PYTHON = SAMPLES / "python" / "consumer.py"


class Candidate:
    """A partner that was let in, with an operator who tries out its software."""

    def __init__(self, id_: str, folder: Path, kafka: KafkaAccess) -> None:
        self.id = id_
        self.folder = folder
        self.kafka = kafka
        self.answers: set[str] = set()

    @property
    def environment(self) -> dict[str, str]:
        """Its credentials file, and its sandbox."""
        told = dotenv_values(self.folder / "partners" / f"{self.id}.env")
        queue, replies = sandbox_topics(self.id)
        return {**{name: value or "" for name, value in told.items()}, "QUEUE": queue.name, "REPLIES": replies.name}

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

    async def order(self, *words: str, typed: str = "") -> Result:
        """What `wegweiser partner` says, and what is typed meanwhile."""
        return await asyncio.to_thread(CliRunner().invoke, app, ["partner", *words], typed)


@pytest.fixture
async def candidate(backends: Backends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Candidate]:
    if not (backends.broker and backends.database):
        pytest.skip("BACKEND=external: users and rights are not ours")
    for name, value in {**backends.kafka.environment, "VAR_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STATE_FILE", str(tmp_path / "known"))
    made = Candidate(f"p-{uuid4().hex[:8]}", tmp_path, backends.kafka)
    onboarding = onboarding_of(PlatformSettings(var_dir=tmp_path), backends.kafka)
    await asyncio.to_thread(lambda: [step.do() for step in onboarding.adding(made.id)])
    yield made
    await asyncio.to_thread(lambda: [step.do() for step in onboarding.removing(made.id)])
    admin = AIOKafkaAdminClient(**backends.kafka.options)
    await admin.start()
    await admin.delete_topics([topic.name for topic in topics_of_partner(made.id)])
    await admin.close()


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


def python() -> str:
    return f"{sys.executable} {PYTHON}"


@pytest.mark.parametrize("command", [python, javascript, java, shell])
async def test_a_sample_passes(candidate: Candidate, command: Callable[[], str]) -> None:
    said = await candidate.order("check", candidate.id, "--command", command())

    log = candidate.folder / "log" / f"check-{candidate.id}.log"
    assert said.exit_code == 0, said.output + log.read_text()[-2000:]
    assert said.output.count("passed") == len(Point)


def wrong_everywhere(program: str) -> str:
    """Remembers nothing, takes a new id for each reply, begins what was withdrawn, takes every version for its own,
    accepts whatever it is told, and writes all of it under one key."""
    return (
        program.replace("str(uuid5(UUID(event_id), type_))", "str(uuid4())")
        .replace("INSERT INTO", "INSERT OR IGNORE INTO")
        .replace("(id_,)).fetchone():", "(uuid4().hex,)).fetchone():")
        .replace('"accept": {', '"accept": {"referral.withdrawn": ("started", {}),')
        .replace("name.removesuffix(VERSION)", "name[:-3]")
        .replace('BEHAVIOURS[os.environ.get("BEHAVIOUR", "accept")]', 'BEHAVIOURS["accept"]')
        .replace("key=subject.encode()", "key=PARTNER.encode()")
    )


def dies(program: str) -> str:
    """Ends at the first record that is no event."""
    return program.replace("TypeError", "ZeroDivisionError")


def loses(program: str) -> str:
    """Takes no more than twenty of what comes at once."""
    return program.replace("for record in records)", "for record in records[:20])")


def goes_on_with_the_newest(program: str) -> str:
    """What came while it was away is lost."""
    return program.replace("group_id=GROUP", 'group_id=f"{GROUP}.{uuid4()}"').replace(
        'auto_offset_reset="earliest"',
        'auto_offset_reset="latest" if known.execute("SELECT 1 FROM known").fetchone() else "earliest"',
    )


@pytest.mark.parametrize(
    ("spoilt", "faults"),
    [
        (
            wrong_everywhere,
            {
                Point.FORM: "the key is not",
                Point.REPEATED: "2 times under different ids",
                Point.WITHDRAWN: "reply.started.v1 after it was withdrawn",
                Point.NEWER: "whose type it cannot know",
                Point.DECLINED: "reply.accepted.v1 instead of a reply.declined",
            },
        ),
        (dies, {Point.NO_EVENT: "the consumer ended"}),
        (loses, {Point.BURST: "no answer to"}),
        (goes_on_with_the_newest, {Point.RESTART: "no answer to"}),
    ],
)
async def test_wrong_software_fails_with_its_faults(
    candidate: Candidate, spoilt: Callable[[str], str], faults: dict[Point, str]
) -> None:
    program = candidate.folder / "consumer.py"
    program.write_text(spoilt(PYTHON.read_text()))
    assert program.read_text() != PYTHON.read_text()

    said = await candidate.order(
        "check", candidate.id, "--command", f"{sys.executable} {program}", "--seconds", str(PATIENCE)
    )

    assert said.exit_code == 1, said.output
    for point, why in faults.items():
        _, found, rest = said.output.partition(f"FAILED  {point.title}: {point.read_on}\n")
        assert found, said.output
        assert any(why in line for line in takewhile(lambda line: line[0] == " ", rest.splitlines())), said.output


@pytest.mark.parametrize("command", [python, javascript, java, shell])
async def test_a_sample_that_was_away_too_long_goes_on_with_what_is_left(
    candidate: Candidate, command: Callable[[], str]
) -> None:
    sample = Program(command(), candidate.environment, candidate.folder / "log" / "sample")
    async with candidate.listening() as answered:
        with sample.running():
            await candidate.offer(3)
            await eventually(lambda: answered(3))
        await candidate.offer(3)
        await candidate.forget_all_events()
        [left] = await candidate.offer(1)
        with sample.running():
            await eventually(lambda: answered(4))
            assert left in candidate.answers


async def test_without_a_command_its_owner_starts_and_kills_it(candidate: Candidate) -> None:
    consumer = await asyncio.create_subprocess_exec(
        *tied([sys.executable, str(PYTHON)]), env={**os.environ, **candidate.environment}
    )

    said = await candidate.order("check", candidate.id, "--seconds", str(PATIENCE), typed="\n\n\n\n\n")

    consumer.kill()
    await consumer.wait()
    assert [line for line in said.output.splitlines() if line.startswith("FAILED")] == [
        f"FAILED  {Point.DECLINED.title}: {Point.DECLINED.read_on}"  # nobody started another one
    ]
    assert "Kill your consumer (kill -9), then press Enter" in said.output
    assert "Start your consumer so that it declines what it is offered, then press Enter" in said.output


async def test_software_that_never_comes_is_told_so(candidate: Candidate) -> None:
    said = await candidate.order("check", candidate.id, "--command", "sleep 100", "--seconds", "2")

    assert said.exit_code == 1
    assert f"FAILED  {Point.OFFER.title}" in said.output
    assert "waited 2 seconds" in said.output
    assert f"not tried  {Point.RESTART.title}" in said.output


async def test_a_test_event_lies_where_it_is_said(candidate: Candidate) -> None:
    said = await candidate.order("send-test-event", candidate.id)
    withdrawn = await candidate.order("send-test-event", candidate.id, "--type", "referral.withdrawn")
    unknown = await candidate.order("send-test-event", candidate.id, "--type", "reply.accepted")

    no_id = await candidate.order("send-test-event", candidate.id, "--referral", "abc")

    assert (said.exit_code, withdrawn.exit_code, unknown.exit_code, no_id.exit_code) == (0, 0, 1, 1)
    assert no_id.output == "abc is no id of a referral, which is a UUID in small letters\n"
    assert f"lies at sandbox.{candidate.id}.referrals.v1/" in said.output
    assert "referral.withdrawn" in withdrawn.output
    assert "referral.offered" in unknown.output
