"""The samples pass what a partner's own software has to pass, and software that does something wrong does not."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import confluent_kafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from dotenv import dotenv_values
from typer.testing import CliRunner, Result

from deploy.backends import Backends
from deploy.embedded.daemon import tied
from deploy.embedded.java import kafka_jars
from shared.topics import sandbox_topics, topics_of_partner
from wegweiser.cli import app
from wegweiser.platform import onboarding_of
from wegweiser.scenario import Point
from wegweiser.settings import PlatformSettings

SAMPLES = Path(__file__).parents[3] / "examples" / "partners"
CACHE = Path(__file__).parents[3] / "var" / "cache" / "jars"
PYTHON = SAMPLES / "python" / "consumer.py"


class Candidate:
    """A partner that was let in, with an operator who tries out its software."""

    def __init__(self, id_: str, folder: Path) -> None:
        self.id = id_
        self.folder = folder

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
    made = Candidate(f"p-{uuid4().hex[:8]}", tmp_path)
    onboarding = onboarding_of(PlatformSettings(var_dir=tmp_path), backends)
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


def forgets(program: str) -> str:
    """Remembers nothing and takes a new id for each reply."""
    return (
        program.replace("str(uuid5(UUID(event_id), type_))", "str(uuid4())")
        .replace("INSERT INTO", "INSERT OR IGNORE INTO")
        .replace("(id_,)).fetchone():", "(uuid4().hex,)).fetchone():")
    )


def dies(program: str) -> str:
    """Ends at the first record that is no event."""
    return program.replace("TypeError", "ZeroDivisionError")


def mixes_up(program: str) -> str:
    """Writes everything under one key."""
    return program.replace("key=subject.encode()", "key=PARTNER.encode()")


@pytest.mark.parametrize(
    ("spoilt", "point", "why"),
    [
        (forgets, Point.REPEATED, "2 times under different ids"),
        (dies, Point.NO_EVENT, "the consumer ended"),
        (mixes_up, Point.FORM, "the key is not"),
    ],
)
async def test_wrong_software_fails_with_its_fault(
    candidate: Candidate, spoilt: Callable[[str], str], point: Point, why: str
) -> None:
    program = candidate.folder / "consumer.py"
    program.write_text(spoilt(PYTHON.read_text()))
    assert program.read_text() != PYTHON.read_text()

    said = await candidate.order("check", candidate.id, "--command", f"{sys.executable} {program}")

    assert said.exit_code == 1, said.output
    assert f"FAILED  {point.title}: {point.read_on}" in said.output
    assert why in said.output


async def test_without_a_command_its_owner_starts_and_kills_it(candidate: Candidate) -> None:
    queue, replies = sandbox_topics(candidate.id)
    told = dotenv_values(candidate.folder / "partners" / f"{candidate.id}.env")
    consumer = await asyncio.create_subprocess_exec(
        *tied([sys.executable, str(PYTHON)]),
        env={**os.environ, **told, "QUEUE": queue.name, "REPLIES": replies.name},
    )

    said = await candidate.order("check", candidate.id, typed="\n\n\n")

    consumer.kill()
    await consumer.wait()
    assert said.exit_code == 0, said.output
    assert "Kill your consumer (kill -9), then press Enter" in said.output


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

    assert (said.exit_code, withdrawn.exit_code, unknown.exit_code) == (0, 0, 1)
    assert f"lies at sandbox.{candidate.id}.referrals.v1/" in said.output
    assert "referral.withdrawn" in withdrawn.output
    assert "referral.offered" in unknown.output
