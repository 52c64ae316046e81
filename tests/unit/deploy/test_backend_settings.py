"""Where the backends come from is said in the environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from deploy.backends import backends
from deploy.settings import BackendSettings


def test_embedded_backends_are_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BACKEND", raising=False)
    found = backends(BackendSettings(var_dir=tmp_path, kafka_port=1, mongo_port=2))
    assert found.kafka.kafka_bootstrap == "127.0.0.1:1"
    assert found.mongo.partition("@")[2] == "127.0.0.1:2/?replicaSet=rs0&authSource=admin"
    assert [server.name for server in found.servers] == ["kafka", "mongod"]


def test_each_principal_of_embedded_backends_has_a_password_of_its_own(tmp_path: Path) -> None:
    found = backends(BackendSettings(var_dir=tmp_path))
    again = backends(BackendSettings(var_dir=tmp_path))

    assert found.kafka_of("intake") == again.kafka_of("intake")
    assert found.mongo_of("intake") == again.mongo_of("intake")
    assert found.kafka_of("intake").kafka_sasl_password != found.kafka_of("routing").kafka_sasl_password
    assert "SecretStr('**********')" in repr(found.kafka)


def test_external_backends_are_used_and_never_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "kafka:9092")
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "somebody")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "secret")
    monkeypatch.setenv("MONGO_URL", "mongodb://mongo")

    found = backends(BackendSettings(backend="external"))

    assert found.kafka.environment["KAFKA_BOOTSTRAP"] == "kafka:9092"
    assert (found.kafka_of("intake"), found.mongo, found.servers) == (found.kafka, "mongodb://mongo", [])


@pytest.mark.parametrize(
    ("said", "lacking"),
    [
        ({}, "BACKEND=external needs KAFKA_BOOTSTRAP, MONGO_URL"),
        ({"KAFKA_BOOTSTRAP": "kafka:9092", "MONGO_URL": "mongodb://m"}, "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"),
    ],
)
def test_external_backends_that_are_not_described_are_refused(
    said: dict[str, str], lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KAFKA_BOOTSTRAP", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD", "MONGO_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=lacking):
        BackendSettings(backend="external")
