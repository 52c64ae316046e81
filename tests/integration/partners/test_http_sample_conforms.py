"""The sample that speaks HTTP passes what every partner's software has to pass, through the gateway that runs."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from toy.trial import eventually
from typer.testing import CliRunner

from deploy.backends import Backends
from deploy.embedded.daemon import Home
from deploy.embedded.issuer import AUDIENCE, Issuer
from deploy.embedded.ports import free_ports
from deploy.handover import GATEWAY_FOLDER
from deploy.secrets import Secrets
from shared.topics import GATEWAY, topics_of_partner
from wegweiser.children import ServiceProcess
from wegweiser.cli import app
from wegweiser.platform import onboarding_of
from wegweiser.scenario import Point
from wegweiser.settings import PlatformSettings

SAMPLE = Path(__file__).parents[3] / "examples" / "partners" / "http" / "consumer.sh"


@pytest.fixture
def settings(backends: Backends, tmp_path: Path) -> Iterator[PlatformSettings]:
    """A gateway and an issuer run with these."""
    if not (backends.broker and backends.database):
        pytest.skip("BACKEND=external: users and rights are not ours")
    if not (shutil.which("curl") and shutil.which("jq")):
        pytest.skip("curl or jq is not installed")
    gateway_port, issuer_port = free_ports(2)
    made = PlatformSettings(var_dir=tmp_path, gateway_port=gateway_port, issuer_port=issuer_port)
    home = Home(tmp_path)
    issuer = Issuer(home, port=issuer_port, secrets=Secrets(made.secrets_folder))
    told = {
        "MONGO_URL": backends.mongo,
        "PARTNERS_FOLDER": str(tmp_path / GATEWAY_FOLDER),
        "CURSOR_KEY": "a key for cursors of the tests",
        "WEBHOOK_KEY": "a key for webhooks of the tests",
        "OIDC_ISSUER": issuer.url,
        "OIDC_AUDIENCE": AUDIENCE,
    }
    gateway = ServiceProcess(GATEWAY, home, port=gateway_port, environment=lambda: told)
    issuer.start()
    gateway.start()
    yield made
    gateway.stop()
    issuer.stop()


async def test_the_sample_passes(
    settings: PlatformSettings, backends: Backends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**backends.kafka.environment, "VAR_DIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STATE_FILE", str(tmp_path / "known"))
    id_, onboarding = f"p-{uuid4().hex[:8]}", onboarding_of(settings, backends.kafka)
    await asyncio.to_thread(lambda: [step.do() for step in onboarding.adding(id_)])

    async def is_let_in() -> bool:
        return "partner_let_in" in (tmp_path / "log" / "gateway.log").read_text()

    await eventually(is_let_in, what="the gateway's next look")

    said = await asyncio.to_thread(CliRunner().invoke, app, ["partner", "check", id_, "--command", str(SAMPLE)])

    assert said.exit_code == 0, said.output + (tmp_path / "log" / f"check-{id_}.log").read_text()[-2000:]
    assert said.output.count("passed") == len(Point) - 1  # it serves nobody
    await asyncio.to_thread(lambda: [step.do() for step in onboarding.removing(id_)])
    admin = AIOKafkaAdminClient(**backends.kafka.options)
    await admin.start()
    await admin.delete_topics([topic.name for topic in topics_of_partner(id_)])
    await admin.close()
