"""Partners of a Kafka that somebody else runs are let in and out as well, and nothing else is changed there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from click.testing import Result
from dotenv import dotenv_values
from letting_in import access_in
from taking_part import takes_part
from typer.testing import CliRunner

from deploy.backends import Backends
from deploy.principals import admit, grant, who_lacks
from shared.rights import OPERATOR, Kind, Operation, Right
from shared.topics import SERVICES, partner_topics, topics_of_partner
from wegweiser.cli import app
from wegweiser.platform import partners

ID, *_ = partners()
ELSEWHERE = {"OIDC_ISSUER": "https://sign-in.example", "GATEWAY_URL": "https://gateway.example"}
THEIRS = {"routing": [Right(Kind.TOPIC, "their.topic", Operation.READ)]}
ORDERS = [("add", ID), ("show", ID), ("rotate", ID), ("suspend", ID)]


async def order(*words: str) -> Result:
    """What comes of `wegweiser partner`."""
    return await asyncio.to_thread(CliRunner().invoke, app, ["partner", *words])


@pytest.fixture
async def folder(backends: Backends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """Where files go. The tests' own Kafka stands for one elsewhere, on which somebody gave a service a right."""
    if not backends.servers:
        pytest.skip("BACKEND=external: users and rights are not ours")
    of_kafka = {**backends.kafka.environment, "MONGO_URL": backends.mongo, "BACKEND": "external"}
    for name, value in {**of_kafka, **ELSEWHERE, "VAR_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    await asyncio.to_thread(grant, backends.kafka, THEIRS)
    yield tmp_path
    await asyncio.to_thread(grant, backends.kafka, dict.fromkeys((*SERVICES, OPERATOR), ()))


async def test_a_partner_is_let_in_and_nobody_loses_a_right(folder: Path, backends: Backends) -> None:
    queue, _ = partner_topics(ID)

    added = await order("add", ID)

    assert added.exit_code == 0, added.output
    told = dotenv_values(folder / "partners" / f"{ID}.env")
    assert {name: told.get(name) for name in ELSEWHERE} == ELSEWHERE
    assert not {"OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"} & told.keys()
    assert list((folder / "secrets").glob("client-*")) == []
    assert await takes_part(access_in(folder / "partners" / f"{ID}.env"), ID)
    given = {"routing": [*THEIRS["routing"], Right(Kind.TOPIC, queue.name, Operation.WRITE)]}
    assert await asyncio.to_thread(who_lacks, backends.kafka, given) == set()
    assert (await order("add", ID)).output.startswith("nothing to do\n")
    assert (await order("show", ID)).output.startswith(f"{ID}: active\n")

    for words in (("rotate",), ("rotate", "--finish"), ("suspend",), ("suspend", "--end")):
        changed = await order(words[0], ID, *words[1:])
        assert changed.exit_code == 0, changed.output
    assert await takes_part(access_in(folder / "partners" / f"{ID}.env"), ID)

    assert (await order("suspend", ID)).exit_code == 0
    admin = AIOKafkaAdminClient(**backends.kafka.options)
    await admin.start()
    await admin.delete_topics([topic.name for topic in topics_of_partner(ID)])
    await admin.close()


@pytest.mark.parametrize("lacking", ELSEWHERE)
@pytest.mark.usefixtures("folder")
async def test_what_partners_are_to_be_told_has_to_be_said(lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(lacking)

    refused = await order("add", ID)

    assert (refused.exit_code, refused.output.splitlines()) == (
        1,
        [f"the settings in the environment are wrong: with BACKEND=external partners need to be told {lacking}"],
    )


@pytest.mark.parametrize("words", ORDERS, ids=lambda words: words[0])
@pytest.mark.usefixtures("folder")
async def test_who_has_no_rights_there_is_told_so_in_one_line(
    words: tuple[str, ...], backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = backends.kafka_of(f"nobody-{uuid4().hex[:8]}")
    await asyncio.to_thread(admit, backends.kafka, [nobody])
    for name, value in nobody.environment.items():
        monkeypatch.setenv(name, value)

    refused = await order(*words)

    assert refused.exit_code == 2
    [line] = refused.output.splitlines()
    assert line == (
        f"{nobody.kafka_sasl_username} is no administrator of this Kafka:"
        " it lacks ALTER, ALTER_CONFIGS, DESCRIBE, DESCRIBE_CONFIGS on the cluster"
    )


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("KAFKA_SASL_PASSWORD", "guessed", "refuses the password of admin"),
        ("KAFKA_CA", "/nowhere/ca.pem", "/nowhere/ca.pem is not there"),
        ("KAFKA_BOOTSTRAP", "127.0.0.1:1", "does not answer"),
    ],
)
@pytest.mark.usefixtures("folder")
async def test_who_does_not_come_in_there_is_told_why_in_one_line(
    setting: str, value: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting, value)

    refused = await order("show", ID)

    assert refused.exit_code == 2
    [line] = refused.output.splitlines()
    assert why in line
