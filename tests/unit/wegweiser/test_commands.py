"""The command line: what it offers, and how it refuses."""

import os
import socket
from pathlib import Path
from unittest.mock import Mock

import pytest
from docker.errors import DockerException  # type: ignore[import-untyped]
from typer.testing import CliRunner

from deploy.embedded.daemon import Home
from deploy.embedded.ports import free_ports
from wegweiser.cli import COMMANDS, app
from wegweiser.platform import Platform
from wegweiser.settings import PlatformSettings

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
    for name in ("KAFKA_BOOTSTRAP", "MONGO_URL", "VAR_DIR", "BACKEND"):
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
    assert "start `make run` first" in line


def test_a_service_whose_port_is_taken_names_who_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("PORT", str(taken.getsockname()[1]))
        monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:1")
        monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT")
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
    assert "NOTIFY_PORT=" in line
    assert not Path("var/data").exists()


def test_a_second_platform_is_pointed_to_the_first(tmp_path: Path) -> None:
    Home(tmp_path / "var").pid_file("platform").write(os.getpid())
    answer = run(app, ["run"])
    assert answer.exit_code == 1
    assert answer.output == f"the platform runs already (process {os.getpid()}); `make down` ends it\n"


def test_a_platform_is_pointed_to_a_demo_that_runs(tmp_path: Path) -> None:
    Home(tmp_path / "var" / "demo").pid_file("platform").write(os.getpid())
    assert run(app, ["run"]).output.startswith(f"the platform runs already (process {os.getpid()})")


@pytest.mark.parametrize("command", ["run", "demo", "down"])
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"SCHEDULING_PORT": "many"}, "SCHEDULING_PORT"),
        ({"SCHEDULING_PORT": "8101"}, "INTAKE_PORT and SCHEDULING_PORT are both 8101"),
        ({"BACKEND": "nope"}, "BACKEND"),
        ({"BACKEND": "external"}, "BACKEND=external needs KAFKA_BOOTSTRAP, MONGO_URL"),
    ],
)
def test_wrong_settings_are_named_in_one_line(
    command: str, settings: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    answer = run(app, [command])
    assert answer.exit_code == 1
    [line] = answer.output.splitlines()
    assert named in line


@pytest.mark.parametrize("command", ["run", "demo"])
def test_containers_without_an_engine_are_refused_in_one_line(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND", "containers")
    monkeypatch.setattr("deploy.containers.DockerClient", Mock(side_effect=DockerException("no socket\nno luck")))
    answer = run(app, [command])
    assert answer.exit_code == 1
    [line] = answer.output.splitlines()
    assert line.endswith("BACKEND=containers needs a container engine, which says: no socket")


def test_an_agreement_that_cannot_be_read_is_named_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "2017-01-09.toml").write_text("partners = ")
    monkeypatch.setattr("wegweiser.platform.AGREEMENTS", tmp_path)
    answer = run(app, ["run"])
    assert answer.exit_code == 1
    [line] = answer.output.splitlines()
    assert line.startswith("2017-01-09.toml: is not TOML")


def test_down_forgets_the_addresses_of_a_platform_that_was_killed(tmp_path: Path) -> None:
    for folder in (tmp_path / "var", tmp_path / "var" / "demo"):
        folder.mkdir()
        (folder / "platform.env").touch()
    run(app, ["down"])
    assert list(tmp_path.rglob("platform.env")) == []


def test_down_says_when_there_is_nothing_to_stop() -> None:
    answer = run(app, ["down"])
    assert answer.exit_code == 0
    assert answer.output == "nothing of the platform runs\n"


@pytest.mark.parametrize("command", ["stop", "start"])
def test_one_service_is_stopped_and_started_where_a_platform_runs_only(command: str, tmp_path: Path) -> None:
    answer = run(app, [command, "routing"])
    assert answer.exit_code == 1
    assert answer.output == "no platform runs here; `make run` starts one\n"
    assert not (tmp_path / "var").exists()


def test_a_new_platform_starts_what_was_stopped_in_an_earlier_one(tmp_path: Path) -> None:
    ports = dict(zip((port.lower() for port in PORTS), free_ports(len(PORTS)), strict=True))
    settings = PlatformSettings(var_dir=tmp_path, **ports)
    stopped = Home(tmp_path).stopped("routing")
    stopped.parent.mkdir()
    stopped.touch()

    Platform(settings, print).claim()

    assert not stopped.exists()
