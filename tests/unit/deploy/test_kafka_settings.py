"""What our brokers are told."""

from pathlib import Path

from deploy.embedded.kafka import BROKER_SETTINGS, answers, render_properties
from deploy.embedded.ports import free_ports
from shared.topics import RETENTION_MS

MINUTE_MS = 60 * 1000


def properties() -> dict[str, str]:
    rendered = render_properties(port=29092, controller_port=29093, data=Path("/data/kafka"))
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


def test_a_closed_port_does_not_answer() -> None:
    assert not answers("127.0.0.1", free_ports(1)[0])
