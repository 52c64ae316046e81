"""What is refused before Kafka is asked, in one line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from shared.topics import SERVICES
from wegweiser.cli import app

COMMANDS = ("add", "show", "rotate", "suspend", "remove")


def refused(*arguments: str) -> str:
    """The one line that says why."""
    result = CliRunner().invoke(app, ["partner", *arguments])
    assert result.exit_code == 1
    [line] = result.output.splitlines()
    return line


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing runs and nothing was made."""
    monkeypatch.setenv("VAR_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("BACKEND", "embedded")
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("id_", ["AWO", "a", "a" * 32, "1awo", "awo.kreis", "../platform", "awo\n", "-awo", "äwo"])
def test_what_is_no_id_is_named(command: str, id_: str) -> None:
    arguments = [command, "--", id_]
    result = CliRunner().invoke(app, ["partner", *arguments])
    assert result.exit_code == 1
    assert "is no id of a partner: 2 to 31 of a-z, 0-9 and -, the first a letter" in result.output


@pytest.mark.parametrize("id_", [*SERVICES, "gateway", "operator", "admin", "broker"])
def test_a_name_of_our_own_is_no_partner_s(id_: str) -> None:
    assert refused("add", id_) == f"{id_} is a name of our own; the agreement has to call this partner otherwise"


def test_where_nothing_was_started_nothing_is_made(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["partner", "add", "awo", "--dry-run"])

    assert result.exit_code == 2
    assert result.output.startswith("unknown: KAFKA_BOOTSTRAP")
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("words", [("add", "awo", "--dry-run"), ("show", "awo"), ("add", "awo")], ids=" ".join)
def test_where_kafka_was_not_started_no_password_of_its_administrator_is_made_up(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"BOOTSTRAP": "127.0.0.1:1", "SASL_USERNAME": "operator", "SASL_PASSWORD": "secret"}.items():
        monkeypatch.setenv(f"KAFKA_{name}", value)

    assert refused(*words) == (
        f"{tmp_path}/var/secrets does not hold the administrator's password: go where Kafka was started"
    )
    assert not (tmp_path / "var").exists()


def test_who_is_named_by_terms_that_are_over_only_is_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wegweiser.partner.partners", lambda *, on: ["vhs"] if on else ["awo", "vhs"])

    assert refused("add", "awo") == "no term that is not over names awo; partners are vhs"


def test_only_who_is_in_the_agreement_is_let_in() -> None:
    assert refused("add", "awo-kreis").startswith("no term that is not over names awo-kreis; partners are awo, ")


def test_who_is_named_by_a_term_that_is_not_over_is_not_removed() -> None:
    assert refused("remove", "awo") == (
        "a term that is not over names awo: end that first, or shut it out: wegweiser partner suspend awo"
    )


def test_where_nobody_signs_in_nobody_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT")

    assert refused("add", "awo") == "nobody signs in where KAFKA_SECURITY_PROTOCOL is PLAINTEXT"
