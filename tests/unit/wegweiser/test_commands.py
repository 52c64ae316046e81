"""The command line: what it offers, and how it refuses."""

import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.embedded.daemon import Home
from deploy.embedded.ports import free_ports
from wegweiser.cli import COMMANDS, app

PORTS = (
    "KAFKA_PORT",
    "KAFKA_CONTROLLER_PORT",
    "MONGO_PORT",
    "SMTP_PORT",
    "INTAKE_PORT",
    "ROUTING_PORT",
    "SCHEDULING_PORT",
)

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without a platform, and an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("KAFKA_BOOTSTRAP", "MONGO_URL", "VAR_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    answer = run(app, [command, "--help"])
    assert answer.exit_code == 0
    assert answer.output.strip()


def test_help_lists_every_command() -> None:
    listed = run(app, ["--help"]).output
    assert [command for command in COMMANDS if command not in listed] == []


def test_a_service_without_addresses_names_what_it_lacks_in_one_line() -> None:
    answer = run(app, ["service", "routing"])
    assert answer.exit_code == 1
    [line] = answer.output.splitlines()
    assert "KAFKA_BOOTSTRAP" in line
    assert "MONGO_URL" in line


def test_a_service_whose_port_is_taken_names_who_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("PORT", str(taken.getsockname()[1]))
        monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:1")
        monkeypatch.setenv("MONGO_URL", "mongodb://127.0.0.1:1")
        answer = run(app, ["service", "routing"])
    assert answer.exit_code == 1
    assert "routing cannot start: port" in answer.output


def test_a_platform_starts_nothing_where_one_of_its_ports_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True):
            monkeypatch.setenv(name, str(port))
        monkeypatch.setenv("NOTIFY_PORT", str(taken.getsockname()[1]))
        answer = run(app, ["run"])
    assert answer.exit_code == 1
    [line] = answer.output.splitlines()
    assert line.startswith("notify cannot start: port")
    assert not Path("var/data").exists()


def test_a_second_platform_is_pointed_to_the_first(tmp_path: Path) -> None:
    Home(tmp_path / "var").pid_file("platform").write(os.getpid())
    answer = run(app, ["run"])
    assert answer.exit_code == 1
    assert answer.output == f"the platform runs already (process {os.getpid()}); `make down` ends it\n"


def test_down_says_when_there_is_nothing_to_stop() -> None:
    answer = run(app, ["down"])
    assert answer.exit_code == 0
    assert answer.output == "nothing of the platform runs\n"
