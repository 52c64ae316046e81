"""What an office types about its agreement, and reads."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.routing.agreement_files import load_agreements
from wegweiser.activation import AgreementRefusedError
from wegweiser.cli import app
from wegweiser.doors import RefusedError
from wegweiser.settings import AGREEMENTS

ROOT = AGREEMENTS.parents[1]
GUIDE = (ROOT / "docs" / "agreement.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"<!-- wegweiser (agreement check \S+ --markdown) -->\n(.*?)\n<!-- end -->", GUIDE, re.DOTALL)


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and everything said."""
    result = CliRunner().invoke(app, ["agreement", *arguments])
    return result.exit_code, result.output


def a_file(folder: Path, *changes: tuple[str, str], name: str = "2017-07-01") -> Path:
    """The agreement of July 2017, changed."""
    text = (AGREEMENTS / "2017-07-01.toml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / f"{name}.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(("command", "table"), SHOWN)
def test_the_guide_shows_the_coverage_as_it_is_printed(
    command: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)

    code, said = run(*command.split()[1:])

    assert code == 0
    assert said.endswith(f"\n\n{table}\n")


def test_the_guide_shows_both_agreements_of_2017() -> None:
    assert [command.split()[2] for command, _ in SHOWN] == [
        "deploy/agreements/2017-01-09.toml",
        "deploy/agreements/2017-07-01.toml",
    ]


def test_a_folder_is_checked_term_by_term() -> None:
    code, said = run("check", str(AGREEMENTS))

    assert code == 0
    assert [line for line in said.splitlines() if " to 20" in line] == [
        "2017-01-09: 2017-01-09 to 2017-06-30",
        "2017-07-01: 2017-07-01 to 2019-01-08",
        "2019-01-09: 2019-01-09 to 2029-01-08",
    ]
    assert "  warning: valid_to: the term has ended on 2017-06-30" in said
    assert re.search(r"^school_education +27-64, 65\+ +awo +awo-education-adults$", said, re.MULTILINE)


def test_an_error_is_named_and_ends_the_check_with_1(tmp_path: Path) -> None:
    file = a_file(tmp_path, ('takers = ["vhs"]', 'takers = ["vhz"]'))

    code, said = run("check", str(file))

    assert code == 1
    assert "  error: rules: vhs-courses: takers: no partner of this agreement: vhz\n" in said
    assert said.endswith("\n1 error(s)\n")


def test_a_file_is_checked_beside_the_others_of_its_folder(tmp_path: Path) -> None:
    a_file(tmp_path)
    draft = a_file(tmp_path, ('version = "2017-07-01"', 'version = "2018-01-01"'), name="draft")

    code, said = run("check", str(draft))

    assert code == 1
    assert "valid_from: the term overlaps that of 2017-07-01" in said


def test_a_file_that_is_no_agreement_is_named_in_one_line(tmp_path: Path) -> None:
    file = a_file(tmp_path, ("\nages = ", "\nage = "))

    code, said = run("check", str(file))

    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("2017-07-01.toml: rules[2].age: Extra inputs are not permitted")


@pytest.mark.parametrize("command", ["check", "activate"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('["vhs-haus"]', '["vhs-house"]'), "error: partners: vhs: places: not in places.toml: vhs-house\n"),
        (('sheet = "self-help"', 'sheet = "help"'), "error: rules: self-help: sheet: not in sheets.toml: help\n"),
    ],
)
def test_a_place_or_sheet_that_is_not_listed_is_an_error(
    tmp_path: Path, command: str, change: tuple[str, str], said: str
) -> None:
    code, told = run(command, str(a_file(tmp_path, change)))

    assert code == 1
    assert told.count(said) == 1


def test_a_refusal_names_each_finding_once() -> None:
    [term, *_] = load_agreements(AGREEMENTS)
    finding = {"severity": "error", "where": "rules: one", "what": "the id is used twice"}
    unsound = RefusedError(422, "routing: rules: one: the id is used twice", {"findings": [finding]})
    large = RefusedError(413, "routing: Too large.", {"errors": [{"pointer": "", "detail": "at most 2 bytes, not 3"}]})
    topics = RefusedError(409, "routing: The partners' topics are missing: a, b", {"topics": ["a", "b"]})

    assert [str(AgreementRefusedError(term, error)) for error in (unsound, large, topics)] == [
        "the agreement 2017-01-09 is refused by routing:\n  error: rules: one: the id is used twice",
        "the agreement 2017-01-09 is refused by routing: Too large.\n  at most 2 bytes, not 3",
        "the agreement 2017-01-09 is refused by routing: The partners' topics are missing: a, b",
    ]


def test_a_comparison_names_who_is_asked_before_and_after() -> None:
    code, said = run("diff", str(AGREEMENTS / "2017-01-09.toml"), str(AGREEMENTS / "2017-07-01.toml"))

    assert code == 0
    assert re.search(r"^school_education; 0-5, 6-11, 12-17, 18-26 +awo +diakonie$", said, re.MULTILINE)
    assert "childcare; 27-64" not in said


def test_equal_agreements_differ_in_nothing() -> None:
    file = str(AGREEMENTS / "2017-01-09.toml")

    assert run("diff", file, file) == (0, "nothing changes\n")


def test_activating_needs_the_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    code, said = run("activate", str(AGREEMENTS))

    assert (code, said.count("\n")) == (2, 1)
    assert "ROUTING_URL" in said
