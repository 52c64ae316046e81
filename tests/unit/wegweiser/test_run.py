"""How a run of the sample cases ends, and what it leaves for others to find."""

import re
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deploy.embedded.ports import free_ports
from shared.topics import SERVICES
from wegweiser import run
from wegweiser.platform import Platform, forget_environment
from wegweiser.run import Show
from wegweiser.settings import PlatformSettings


def settings_in(folder: Path) -> PlatformSettings:
    names = ("kafka", "kafka_controller", "mongo", "smtp", "issuer", *SERVICES)
    ports: dict[str, Any] = {f"{name}_port": port for name, port in zip(names, free_ports(len(names)), strict=True)}
    return PlatformSettings(var_dir=folder, **ports)


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Show:
    """A show whose platform starts nothing, and whose cases came before."""

    async def nothing(*_: object) -> None:
        return None

    async def no_events(*_: object) -> Any:
        return (seen for seen in ())

    async def came_before(*_: object) -> Counter[str]:
        return Counter(unchanged=9)

    async def at_once(*_: object) -> None:
        return None

    for name in ("start", "start_partners", "stop"):
        monkeypatch.setattr(Platform, name, nothing)
    monkeypatch.setattr(Show, "_events", no_events)
    monkeypatch.setattr(run, "send", came_before)
    monkeypatch.setattr(run.Timeline, "quiet", at_once)
    monkeypatch.setattr(run.Timeline, "follow", at_once)
    return Show(settings_in(tmp_path / "var"))


@pytest.mark.parametrize(("missing", "code"), [([], 0), (["IC-001: debt is missing"], 1)])
async def test_it_ends_with_1_where_an_expectation_is_not_met(
    missing: list[str], code: int, show: Show, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def still_unmet(*_: object, **__: object) -> list[str]:
        return missing

    monkeypatch.setattr(run, "still_unmet", still_unmet)

    assert await show.until_the_end(ends_by_itself=True) == code

    assert all(line in capsys.readouterr().out for line in missing)


async def test_a_run_on_the_data_of_an_earlier_one_says_how_to_start_afresh(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def nothing_unmet(*_: object, **__: object) -> list[str]:
        return []

    monkeypatch.setattr(run, "still_unmet", nothing_unmet)
    await show.until_the_end(ends_by_itself=True)

    var = tmp_path / "var"
    assert f"all of them came in an earlier run; to start afresh: make down; rm -r {var}/data {var}/mail" in (
        capsys.readouterr().out
    )


def test_a_demo_begins_in_an_empty_folder_of_its_own(tmp_path: Path) -> None:
    usual = settings_in(tmp_path / "var")
    for folder in (usual.var_dir, usual.of_the_demo.var_dir):
        (folder / "data" / "mongod").mkdir(parents=True)
        (folder / "mail").mkdir()

    Show(usual.of_the_demo).claim(empties=True)

    assert usual.of_the_demo.jar_cache == usual.jar_cache
    assert sorted(path.name for path in usual.of_the_demo.var_dir.iterdir()) == ["run", "secrets"]
    assert (usual.var_dir / "data" / "mongod").exists()


def test_a_start_closes_what_was_open_to_others_and_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "var")
    for name in ("data", "log", "mail", "run", "partners"):
        (settings.var_dir / name).mkdir(parents=True)
    draft = settings.var_dir / "partners" / f".{uuid4().hex}"
    draft.write_text("KAFKA_SASL_PASSWORD=…")

    Platform(settings, print).claim()

    assert not draft.exists()
    assert {(settings.var_dir / name).stat().st_mode & 0o777 for name in ("data", "log", "mail", "run")} == {0o700}


def test_an_operator_and_each_service_find_what_they_need_in_a_file_of_their_own(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "with space")
    settings.var_dir.mkdir()
    platform = Platform(settings, print)

    platform._write_environment()

    operators, notifys = (settings.var_dir / name for name in ("platform.env", "services/notify.env"))
    lines = operators.read_text().splitlines()
    assert f"KAFKA_BOOTSTRAP=127.0.0.1:{settings.kafka_port}" in lines
    assert "KAFKA_SASL_USERNAME=operator" in lines
    assert f"INTAKE_URL=http://127.0.0.1:{settings.intake_port}" in lines
    assert f"OIDC_ISSUER=http://127.0.0.1:{settings.issuer_port}" in lines
    assert "OIDC_CLIENT_ID=wegweiser" in lines
    assert "MONGO_URL" not in operators.read_text()
    assert "KAFKA_SASL_USERNAME=notify" in notifys.read_text().splitlines()
    assert "MONGO_URL='mongodb://notify:" in notifys.read_text()


def test_each_service_finds_its_own_secret_and_no_other(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    platform = Platform(settings, print)

    platform._write_environment()

    files = [tmp_path / "platform.env", *(tmp_path / "services" / f"{name}.env" for name in SERVICES)]
    secrets = [re.findall("OIDC_CLIENT_SECRET=(.+)", file.read_text()) for file in files]
    assert [len(found) for found in secrets] == [1, *(int(name == "notify") for name in SERVICES)]
    assert len({*secrets[0], *secrets[-1]}) == 2
    assert {file.stat().st_mode & 0o777 for file in (*files, *(tmp_path / "secrets").iterdir())} == {0o600}
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_what_told_others_goes_with_the_platform(tmp_path: Path) -> None:
    Platform(settings_in(tmp_path), print)._write_environment()

    forget_environment(tmp_path)

    assert list(tmp_path.rglob("*.env")) == []
