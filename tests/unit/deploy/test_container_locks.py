"""A mongod in a container is locked once its first user is made, whenever that comes to be."""

from pathlib import Path
from unittest.mock import MagicMock

import pytest

from deploy import containers
from deploy.containers import ContainerStartError, MongoContainer
from deploy.secrets import Secrets


@pytest.fixture
def mongo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MongoContainer:
    """Of an engine that does what it is told."""
    monkeypatch.setattr(containers, "DockerClient", MagicMock())
    monkeypatch.setattr(containers, "DockerContainer", MagicMock())
    made = MongoContainer("mongo:6.0", cache_gb=0.25, secrets=Secrets(tmp_path))
    made._container.status = "running"
    return made


def locks(mongo: MongoContainer) -> int:
    return int(mongo._container.copy_into_container.call_count)


def test_it_is_locked_also_where_a_first_start_was_given_up(
    mongo: MongoContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as slow:
        slow.setattr(containers, "_START_SECONDS", 0)
        slow.setattr(MongoContainer, "is_ready", lambda _: False)
        with pytest.raises(ContainerStartError):
            mongo.start()
    assert locks(mongo) == 0

    monkeypatch.setattr(MongoContainer, "is_ready", lambda _: True)
    mongo.start()
    mongo.restart()
    assert locks(mongo) == 1

    mongo.discard()
    mongo.start()
    assert locks(mongo) == 2
