"""Where the backends come from is said in the environment."""

import pytest
from pydantic import ValidationError

from deploy.backends import backends
from deploy.settings import BackendSettings


def test_embedded_backends_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKEND", raising=False)
    found = backends(BackendSettings(kafka_port=1, mongo_port=2))
    assert found.kafka == "127.0.0.1:1"
    assert found.mongo == "mongodb://127.0.0.1:2/?replicaSet=rs0"
    assert [server.name for server in found.servers] == ["kafka", "mongod"]


def test_external_backends_are_used_and_never_stopped() -> None:
    found = backends(BackendSettings(backend="external", kafka_bootstrap="kafka:9092", mongo_url="mongodb://mongo"))
    assert (found.kafka, found.mongo, found.servers) == ("kafka:9092", "mongodb://mongo", [])


def test_external_backends_without_an_address_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONGO_URL", raising=False)
    with pytest.raises(ValidationError, match="BACKEND=external needs KAFKA_BOOTSTRAP and MONGO_URL"):
        BackendSettings(backend="external", kafka_bootstrap="kafka:9092")
