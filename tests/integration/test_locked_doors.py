"""Nobody comes in who has no right to, and whoever stays outside is told why."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from structlog.testing import capture_logs
from toy.trial import Trial, eventually

from deploy.backends import Backends
from deploy.embedded.daemon import Home
from deploy.embedded.kafka import KafkaBroker, answers
from deploy.embedded.ports import free_ports
from deploy.principals import admit_to_mongo
from deploy.secrets import CERTIFICATE_LASTS, Secrets
from deploy.settings import ADMIN
from shared import mongo
from shared.kafka_access import KafkaAccess
from shared.migrations import migrate
from shared.pipeline import engine, outbox, set_aside

NOT_ALLOWED = 13
JARS = Path(__file__).parents[2] / "var" / "cache" / "jars"
WHILE_IT_STARTS = timedelta(seconds=30)
"""A broker that starts with a certificate that has ended does not trust itself."""


@pytest.fixture(autouse=True)
def ours(backends: Backends) -> None:
    if not backends.servers:
        pytest.skip("BACKEND=external: users and certificates are not ours")


def with_a_wrong_password(access: KafkaAccess) -> KafkaAccess:
    return access.model_copy(update={"kafka_sasl_password": SecretStr("guessed")})


@asynccontextmanager
async def a_server_whose_certificate_has_expired(folder: Path) -> AsyncIterator[KafkaAccess]:
    """Something with TLS, whose certificate ended yesterday."""
    secrets = Secrets(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(secrets.certificate("broker", datetime.now(UTC) - CERTIFICATE_LASTS - timedelta(days=1)))
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield KafkaAccess(
            kafka_bootstrap=f"127.0.0.1:{port}",
            kafka_sasl_username="intake",
            kafka_sasl_password=SecretStr("secret"),
            kafka_ca=secrets.authority,
        )


async def test_a_wrong_password_is_named(backends: Backends) -> None:
    broker = backends.kafka.kafka_bootstrap
    assert await with_a_wrong_password(backends.kafka).refusal() == f"{broker} refuses the password of admin"


async def test_a_certificate_of_an_unknown_authority_is_named(backends: Backends, tmp_path: Path) -> None:
    others = Secrets(tmp_path)
    others.certificate("broker")
    refusal = await backends.kafka.model_copy(update={"kafka_ca": others.authority}).refusal()
    assert refusal is not None
    assert f"the certificate of {backends.kafka.kafka_bootstrap} is refused: " in refusal


async def test_an_expired_certificate_is_named(tmp_path: Path) -> None:
    async with a_server_whose_certificate_has_expired(tmp_path) as access:
        refusal = await access.refusal()
    assert refusal == f"the certificate of {access.kafka_bootstrap} is refused: certificate has expired"


async def test_an_authority_that_is_not_there_is_named(backends: Backends, tmp_path: Path) -> None:
    nowhere = backends.kafka.model_copy(update={"kafka_ca": tmp_path / "ca.pem"})
    assert await nowhere.refusal() == f"KAFKA_CA: {tmp_path}/ca.pem is not there"


async def test_who_is_let_in_is_told_nothing(backends: Backends) -> None:
    assert await backends.kafka.refusal() is None


async def test_nobody_comes_in_without_signing_in(backends: Backends) -> None:
    plain = KafkaAccess(kafka_bootstrap=backends.kafka.kafka_bootstrap, kafka_security_protocol="PLAINTEXT")
    assert "does not answer" in (await plain.refusal() or "")


async def what_a_service_says(
    access: KafkaAccess, mongo_url: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], set[bool]]:
    """Why it is not let in, in its log, and whether it is ready, when it has tried three times."""
    trial = Trial(access, mongo_url)
    pipeline = trial.pipeline()
    asked: list[str | None] = []
    ask = KafkaAccess.refusal

    async def noted(access: KafkaAccess) -> str | None:
        asked.append(await ask(access))
        return asked[-1]

    async def tried_three_times() -> bool:
        return len(asked) > 2

    with capture_logs() as lines, monkeypatch.context() as patched:
        patched.setattr(KafkaAccess, "refusal", noted)
        starting = asyncio.create_task(pipeline.start())
        await eventually(tried_three_times)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
    ready = pipeline.readiness()
    await pipeline.stop()
    await trial.client.drop_database(trial.names.service)
    trial.client.close()
    return [line["reason"] for line in lines if line["event"] == "broker_unreachable"], set(ready.values())


async def test_a_service_with_a_wrong_password_says_so_once_and_is_not_ready(
    backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = await what_a_service_says(with_a_wrong_password(backends.kafka), backends.mongo, monkeypatch)

    assert said == ([f"{backends.kafka.kafka_bootstrap} refuses the password of admin"], {False})


async def test_a_running_broker_whose_certificate_ends_is_refused_until_it_is_started_again(
    backends: Backends, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate is renewed by the start, and whoever trusted the broker before trusts it again."""
    if not isinstance(backends.broker, KafkaBroker):
        pytest.skip("its certificate is made elsewhere")
    port, controller_port = free_ports(2)
    broker = KafkaBroker(
        Home(tmp_path),
        port=port,
        controller_port=controller_port,
        jar_cache=JARS,
        secrets=Secrets(tmp_path / "secrets"),
        protocol="SASL_SSL",
    )
    made = datetime.now(UTC) + WHILE_IT_STARTS - CERTIFICATE_LASTS
    certificate = Secrets.certificate
    with monkeypatch.context() as long_ago:
        long_ago.setattr(Secrets, "certificate", lambda self, name: certificate(self, name, made))
        await asyncio.to_thread(broker.start)
    access = broker.access_of(ADMIN)
    expired = f"the certificate of {access.kafka_bootstrap} is refused: certificate has expired"

    async def has_expired() -> bool:
        return await access.refusal() == expired

    try:
        assert await access.refusal() is None
        await eventually(has_expired, seconds=2 * WHILE_IT_STARTS.total_seconds())
        assert await what_a_service_says(access, backends.mongo, monkeypatch) == ([expired], {False})

        await asyncio.to_thread(broker.restart)
        assert await access.refusal() is None
    finally:
        broker.discard()


async def test_the_controller_answers_nobody_without_the_broker_s_certificate(backends: Backends) -> None:
    if not isinstance(backends.broker, KafkaBroker):
        pytest.skip("its controller is out of reach")
    door = f"127.0.0.1:{backends.broker._controller_port}"
    assert not answers(backends.kafka.model_copy(update={"kafka_bootstrap": door}))


def test_the_database_of_one_service_is_closed_to_another(backends: Backends) -> None:
    one, other = (f"service-{uuid4().hex[:8]}" for _ in range(2))
    urls = {name: backends.mongo.replace("//admin:", f"//{name}:") for name in (one, other)}
    admit_to_mongo(backends.mongo, urls.values())
    admit_to_mongo(backends.mongo, urls.values())  # as at the next start

    with MongoClient(urls[one]) as own, MongoClient(urls[other]) as foreign:
        own[one]["cases"].insert_one({"_id": 1})
        for attempt in (
            lambda: list(foreign[one]["cases"].find()),
            lambda: foreign[one]["cases"].insert_one({"_id": 2}),
            lambda: foreign.drop_database(one),
            lambda: foreign.admin.command("usersInfo"),
            lambda: foreign[one].list_collection_names(),
        ):
            with pytest.raises(OperationFailure) as refused:
                attempt()
            assert refused.value.code == NOT_ALLOWED
        assert own[one]["cases"].count_documents({}) == 1

    _remove(backends, one, other)


async def test_the_rights_of_a_service_are_enough_for_its_migrations(backends: Backends) -> None:
    name = f"service-{uuid4().hex[:8]}"
    url = backends.mongo.replace("//admin:", f"//{name}:")
    admit_to_mongo(backends.mongo, [url])
    client = mongo.connect(url)
    try:
        await migrate(client[name], (*engine.MIGRATIONS, *outbox.MIGRATIONS, *set_aside.MIGRATIONS))
        assert await client[name]["migrations"].count_documents({}) > 0
    finally:
        client.close()
        _remove(backends, name)


def test_a_database_is_closed_to_who_has_no_password(backends: Backends) -> None:
    nobody = "mongodb://" + backends.mongo.partition("@")[2]
    with MongoClient(nobody) as client, pytest.raises(OperationFailure):
        client["intake"]["cases"].find_one()


def _remove(backends: Backends, *names: str) -> None:
    with MongoClient(backends.mongo) as client:
        for name in names:
            client.drop_database(name)
            client.admin.command("dropUser", name)
