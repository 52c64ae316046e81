"""What our brokers are told."""

from pathlib import Path

import pytest

from deploy.embedded.daemon import Home
from deploy.embedded.kafka import BROKER_SETTINGS, KafkaBroker, answers, render_properties, security_settings
from deploy.embedded.ports import free_ports
from deploy.errors import ForeignDataError
from deploy.secrets import Secrets
from shared.kafka_access import KafkaAccess, Protocol
from shared.topics import RETENTION_MS

MINUTE_MS = 60 * 1000


def properties(protocol: Protocol = "SASL_SSL") -> dict[str, str]:
    security = security_settings(protocol, key=Path("broker.pem"), authority=Path("ca.pem"), password="secret")
    rendered = render_properties(port=29092, controller_port=29093, data=Path("/data/kafka"), security=security)
    return dict(line.split("=", 1) for line in rendered.splitlines())


def test_a_reader_that_is_away_keeps_its_position_as_long_as_records_are_kept() -> None:
    assert int(properties()["offsets.retention.minutes"]) * MINUTE_MS > RETENTION_MS


def test_everything_listens_on_this_machine_only() -> None:
    listeners = [*properties()["listeners"].split(","), *properties()["advertised.listeners"].split(",")]
    assert all("://127.0.0.1:" in listener for listener in listeners)


def test_every_common_setting_is_rendered() -> None:
    assert BROKER_SETTINGS.items() <= properties().items()


def test_topics_are_not_made_by_accident() -> None:
    assert properties()["auto.create.topics.enable"] == "false"


def test_no_door_is_in_plain_text_unless_that_is_said() -> None:
    assert "PLAINTEXT" not in properties()["listener.security.protocol.map"]
    assert "PLAINTEXT" in properties("PLAINTEXT")["listener.security.protocol.map"]


def test_a_closed_port_does_not_answer() -> None:
    closed = KafkaAccess(kafka_bootstrap=f"127.0.0.1:{free_ports(1)[0]}", kafka_security_protocol="PLAINTEXT")
    assert not answers(closed)


def a_broker(folder: Path) -> KafkaBroker:
    """One that has data."""
    home = Home(folder)
    meta = home.data("kafka") / "meta.properties"
    meta.parent.mkdir(parents=True)
    meta.write_text("cluster.id=earlier")
    secrets = Secrets(folder / "secrets")
    return KafkaBroker(home, port=1, controller_port=2, jar_cache=folder, secrets=secrets, protocol="SASL_SSL")


def test_data_of_a_broker_without_these_users_are_refused_and_left_alone(tmp_path: Path) -> None:
    broker = a_broker(tmp_path)

    with pytest.raises(ForeignDataError, match=f"start afresh: rm -r {tmp_path}/data"):
        broker.prepare()

    assert (tmp_path / "data" / "kafka" / "meta.properties").read_text() == "cluster.id=earlier"


def test_passwords_that_a_killed_start_left_in_a_file_are_removed(tmp_path: Path) -> None:
    broker, secrets = a_broker(tmp_path), Secrets(tmp_path / "secrets")
    secrets.keep("kafka-formatted", "SASL_SSL")
    left = secrets.keep("kafka-format", "--add-scram=…")

    broker.prepare()

    assert not left.exists()
