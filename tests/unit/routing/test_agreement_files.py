"""The terms of the agreement as they lie in the repository, and what is refused."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from routing_builders import AGREEMENTS

from services.routing.agreement_files import load_agreement, load_agreements
from services.routing.domain.agreement import Agreement, Agreements, Regime
from services.routing.domain.agreement_check import check
from services.routing.domain.notices import notices_due
from shared.contracts.codes import Concern
from shared.files import InvalidFileError

VALID = """
version = "2017-01-09"
valid_from = 2017-01-09
valid_to = 2017-06-30
basis = "source"
why = "a test"

[[partners]]
id = "awo"
name = "Arbeiterwohlfahrt"
response_days = 5
places = ["integrationsbuero"]
needs = ["step_free_access"]

[[rules]]
id = "awo-work"
fields = ["job_search"]
ages = ["18-26"]
takers = ["awo"]
basis = "source"
why = "a test"
"""


def write(directory: Path, text: str, name: str = "2017-01-09") -> None:
    (directory / f"{name}.toml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("day", "version"),
    [
        ("2017-01-09", "2017-01-09"),
        ("2017-06-30", "2017-01-09"),
        ("2017-07-01", "2017-07-01"),
        ("2019-01-08", "2017-07-01"),
        ("2019-01-09", "2019-01-09"),
        ("2026-11-23", "2019-01-09"),
        ("2028-01-01", "2019-01-09"),
    ],
)
def test_every_day_since_the_opening_has_its_term(day: str, version: str) -> None:
    term = AGREEMENTS.in_force(date.fromisoformat(day))

    assert term is not None
    assert term.version == version


def test_before_the_opening_no_agreement_was_in_force() -> None:
    assert AGREEMENTS.in_force(date(2017, 1, 8)) is None


def test_the_assumed_term_says_so() -> None:
    assert [term.basis for term in AGREEMENTS.terms] == ["source", "source", "assumption"]


def test_the_assumed_term_divides_like_the_one_before() -> None:
    _, practice, assumed = AGREEMENTS.terms

    assert (assumed.partners, assumed.rules) == (practice.partners, practice.rules)


@pytest.mark.parametrize("term", AGREEMENTS.terms, ids=lambda term: term.version)
def test_the_terms_contradict_nothing_and_leave_no_gap(term: Agreement) -> None:
    others = [other for other in AGREEMENTS if other is not term]

    assert check(term, others, today=term.valid_to) == ()


@pytest.mark.parametrize("term", AGREEMENTS.terms, ids=lambda term: term.version)
def test_self_help_is_answered_by_a_sheet(term: Agreement) -> None:
    assert [rule.sheet for rule in term.rules_by_field[Concern.SELF_HELP]] == ["self-help"]


def test_the_churches_institutions_are_under_their_own_law() -> None:
    regimes = {(partner.id, partner.regime) for term in AGREEMENTS for partner in term.partners}

    assert {(id_, law) for id_, law in regimes if law is not Regime.DSGVO} == {
        ("caritas", Regime.KDG),
        ("diakonie", Regime.DSG_EKD),
    }


def test_the_denominational_partners_are_marked() -> None:
    marked = {partner.id for term in AGREEMENTS.terms for partner in term.partners if partner.denominational}

    assert marked == {"caritas", "diakonie"}


def test_since_july_the_vhs_advises_in_its_own_rooms_only() -> None:
    assert [term.partner("vhs").places for term in AGREEMENTS.terms] == [
        ("integrationsbuero",),
        ("vhs-haus",),
        ("vhs-haus",),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (VALID.replace("job_search", "jobs"), "2017-01-09.toml: rules[0].fields[0]: Input should be"),
        (
            VALID.replace("18-26", "18-20"),
            "2017-01-09.toml: rules[0].ages[0]: Input should be '0-5', '6-11', '12-17', '18-26', '27-64', '65+' or",
        ),
        (VALID + 'town = "Kriftel"', "2017-01-09.toml: rules[0].town: Extra inputs are not permitted"),
        (VALID.replace('name = "Arbeiterwohlfahrt"', ""), "2017-01-09.toml: partners[0].name: Field required"),
        (VALID.replace('"2017-01-09"', '"2017-01-10"'), "2017-01-09.toml: version: differs from the name of the file"),
        (VALID + "x", "2017-01-09.toml: is not TOML"),
        (
            VALID.replace("response_days = 5", 'response_days = "5"'),
            "partners[0].response_days: Input should be a valid i",
        ),
        (
            VALID.replace("response_days = 5", "response_days = true"),
            "partners[0].response_days: Input should be a valid i",
        ),
        (
            VALID.replace("response_days = 5", "response_days = 5.0"),
            "partners[0].response_days: Input should be a valid i",
        ),
        (VALID.replace("2017-06-30", '"2017-06-30"'), "2017-01-09.toml: valid_to: Input should be a valid date"),
        (VALID.replace("2017-06-30", "2017-06-30T00:00:00"), "2017-01-09.toml: valid_to: Input should be a valid date"),
        (VALID.replace('"2017-01-09"', "2017-01-09"), "2017-01-09.toml: version: Input should be a valid string"),
        (
            VALID.replace("response_days = 5", "response_days = 5\ndenominational = 1"),
            "partners[0].denominational: Input should be a valid boolean",
        ),
        (
            VALID.replace('basis = "source"', 'basis = "source"\nnotice = ["90"]', 1),
            "notice[0]: Input should be a valid i",
        ),
        (VALID.replace('basis = "source"', 'basis = "source"\nnotice = [30, 90, 30]', 1), "notice: names 30 twice"),
        (VALID.replace('"job_search"', '"debt", "debt"'), "2017-01-09.toml: rules[0].fields: names debt twice"),
        (VALID.replace('["18-26"]', '["65+", "18-26", "65+"]'), "2017-01-09.toml: rules[0].ages: names 65+ twice"),
        (VALID.replace('"awo"', '"gateway"'), "2017-01-09.toml: partners[0].id: gateway is a name of our own"),
        (VALID.replace('["awo"]', '["awo", "awo"]'), "2017-01-09.toml: rules[0].takers: names awo twice"),
        (VALID + 'hand_on_to = ["vhs", "vhs"]', "2017-01-09.toml: rules[0].hand_on_to: names vhs twice"),
        (VALID + 'towns = ["Kriftel", "Kriftel"]', "2017-01-09.toml: rules[0].towns: names Kriftel twice"),
        (VALID + 'languages = ["ar", "ar"]', "2017-01-09.toml: rules[0].languages: names ar twice"),
        (
            VALID.replace('["integrationsbuero"]', '["vhs-haus", "vhs-haus"]'),
            "2017-01-09.toml: partners[0].places: names vhs-haus twice",
        ),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, text)

    with pytest.raises(InvalidFileError) as refused:
        load_agreements(tmp_path)

    assert message in str(refused.value)


def test_a_single_file_may_be_called_anything(tmp_path: Path) -> None:
    write(tmp_path, VALID, "draft")

    assert load_agreement(tmp_path / "draft.toml").version == "2017-01-09"


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match="holds no agreement"):
        load_agreements(tmp_path)


def test_a_term_that_was_replaced_is_over_for_good() -> None:
    first, *_ = AGREEMENTS.terms
    long = first.model_copy(update={"valid_to": date(2039, 12, 31)})
    short = first.model_copy(
        update={
            "version": "2031-01-01",
            "valid_from": date(2031, 1, 1),
            "valid_to": date(2031, 12, 31),
            "replaces": long.version,
        }
    )
    agreements = Agreements((long, short))

    assert agreements.in_force(date(2030, 12, 31)) is long
    assert agreements.in_force(date(2031, 6, 1)) is short
    assert agreements.in_force(date(2032, 1, 1)) is None
    [notice] = notices_due(agreements, datetime(2031, 12, 20, tzinfo=UTC))
    assert (notice.agreement, notice.days_left) == ("2031-01-01", 30)
