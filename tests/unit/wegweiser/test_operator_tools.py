"""What operators type and get where something is missing or wrong: one readable line, no stack trace."""

import socket
from pathlib import Path

import pytest
from signing import give_tokens
from typer.testing import CliRunner

from shared.web.roles import Role
from wegweiser.cli import app
from wegweiser.columns import aligned
from wegweiser.lag import Position, lines_of

ADDRESSES = ("KAFKA_BOOTSTRAP", "INTAKE_URL", "ROUTING_URL", "SCHEDULING_URL", "NOTIFY_URL")
SIGN_IN = ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without a platform."""
    monkeypatch.chdir(tmp_path)
    for name in (*ADDRESSES, *SIGN_IN):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and everything said."""
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


@pytest.mark.parametrize("command", [["lag"], ["tail"], ["rewind", "routing", "--to", "2026-11-23T08:00Z"]])
def test_a_missing_address_of_kafka_is_named(command: list[str]) -> None:
    code, said = run(*command)

    assert (code, said.count("\n")) == (2, 1)
    assert "KAFKA_BOOTSTRAP" in said


@pytest.mark.parametrize("command", [["trace", "IC-001"], ["dead-letters", "list"]])
def test_missing_addresses_of_services_are_named(command: list[str]) -> None:
    code, said = run(*command)

    assert (code, said.count("\n")) == (2, 1)
    assert "NOTIFY_URL" in said


def a_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make run` leaves; nobody answers at its addresses."""
    Path("var").mkdir()
    names = [name for name in ADDRESSES if name.endswith("_URL")]
    Path("var/platform.env").write_text("".join(f"{name}={NOBODY}\n" for name in (*names, *SIGN_IN)))
    give_tokens(monkeypatch, Role.OPERATOR)


def test_who_the_commands_are_to_the_issuer_has_to_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ADDRESSES:
        monkeypatch.setenv(name, NOBODY)

    for command in (["trace", "IC-001"], ["token", "operator"]):
        code, said = run(*command)

        assert (code, said.count("\n")) == (2, 1)
        assert "OIDC_CLIENT_SECRET" in said


def test_an_issuer_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SIGN_IN:
        monkeypatch.setenv(name, "http://127.0.0.1:8")
    for name in ADDRESSES:
        monkeypatch.setenv(name, NOBODY)

    assert run("token", "operator") == (2, "the issuer does not answer (ConnectError)\n")
    assert run("dead-letters", "list", "--service", "routing")[1] == (
        "nothing waits\nthe issuer does not answer (ConnectError)\n"
    )


def test_a_trace_says_who_could_not_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    a_platform(monkeypatch)

    code, said = run("trace", "00000000-0000-4000-8000-000000000000")

    assert code == 1
    for service in ("intake", "routing", "scheduling", "notify"):
        assert f"incomplete: {service} does not answer" in said


def test_dead_letters_say_who_could_not_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    a_platform(monkeypatch)

    code, said = run("dead-letters", "list", "--service", "routing")

    assert code == 2
    assert "routing does not answer" in said
    assert "intake" not in said


def test_lag_gives_a_frozen_broker_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wegweiser.lag._PATIENCE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT")
        monkeypatch.setenv("KAFKA_BOOTSTRAP", f"127.0.0.1:{frozen.getsockname()[1]}")
        code, said = run("lag")

    assert (code, said) == (2, "Kafka does not answer within 0.2 seconds\n")


def test_lag_hides_who_is_not_behind() -> None:
    positions = [Position("routing", "a.v1", 0, 5, 5, 0), Position("notify", "a.v1", 0, 2, 5, 3)]

    hidden = list(lines_of(positions, with_zeros=False))
    shown = list(lines_of(positions, with_zeros=True))

    assert not any("routing" in line for line in hidden)
    assert hidden[-1] == "3 records behind, all groups together; 1 lines without lag are hidden, --all shows them"
    assert any("routing" in line for line in shown)
    assert shown[-1] == "3 records behind, all groups together"


@pytest.mark.parametrize("order", ["replay", "discard"])
@pytest.mark.parametrize("arguments", [[], ["--all"], ["--service", "routing"], ["an-id", "--all"]])
def test_an_order_names_one_dead_letter_or_all_of_a_service(order: str, arguments: list[str]) -> None:
    code, said = run("dead-letters", order, *arguments)

    assert (code, said.count("\n")) == (1, 1)
    assert "--all --service routing" in said


def test_a_complaint_of_an_import_stays_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"status": 422, "detail": "long " * 40}
    outcome = {"line": 1, "status": "rejected", "problem": problem}
    for name in SIGN_IN:
        monkeypatch.setenv(name, NOBODY)
    monkeypatch.setattr("wegweiser.import_cases._sent", lambda *_: [outcome])
    cases = tmp_path / "cases.ndjson"
    cases.write_text("{}\n")

    code, said = run("import", str(cases), "--intake-url", NOBODY)

    assert code == 1
    assert f"line 1: 422 {problem['detail']}" in said


@pytest.mark.parametrize(
    ("time", "why"),
    [("yesterday", "is no time"), ("2026-11-23T08:00", "names no zone"), ("2026-13-01T08:00Z", "is no time")],
)
def test_a_time_that_could_be_misread_is_refused(time: str, why: str) -> None:
    code, said = run("rewind", "routing", "--to", time)

    assert (code, said.count("\n")) == (1, 1)
    assert why in said


def test_a_table_keeps_numbers_at_the_right() -> None:
    assert list(aligned(("topic", "lag"), [("a.v1", 7), ("longer.v1", 1234)])) == [
        "topic       lag",
        "a.v1          7",
        "longer.v1  1234",
    ]
    assert list(aligned(("end",), [(12345,), ("-",)])) == ["  end", "12345", "    -"]
