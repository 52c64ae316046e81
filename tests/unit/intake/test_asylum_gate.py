"""Nothing of an asylum question passes the gate."""

import json

from intake_builders import a_case, a_concern

from services.intake.domain.gate import amendment_without_asylum, asks_about_asylum, without_asylum
from services.intake.domain.requests import Amendment

ASKED = a_concern("asylum", note="Dublin-Bescheid")


def test_an_asylum_question_alone_leaves_nothing() -> None:
    assert without_asylum(a_case(concerns=[ASKED])) is None


def test_the_other_concerns_go_on_without_the_text_that_may_speak_of_it() -> None:
    case = a_case(
        concerns=[ASKED, a_concern("debt", note="Strom")],
        free_text="Bescheid und Schulden",
        legal_basis={"kind": "consent", "covers_concerns": ["asylum", "debt"]},
    )

    passed = without_asylum(case)

    assert asks_about_asylum(case.concerns)
    assert passed is not None
    assert [concern.code for concern in passed.concerns] == ["debt"]
    assert passed.legal_basis.covers_concerns == ("debt",)
    assert passed.free_text is None
    assert "asylum" not in passed.model_dump_json()


def test_a_consent_that_names_asylum_does_not_tell_of_it() -> None:
    passed = without_asylum(a_case(legal_basis={"kind": "consent", "covers_concerns": ["asylum"]}, free_text="Kurs"))

    assert passed is not None
    assert passed.legal_basis.covers_concerns == ()
    assert passed.free_text == "Kurs"


def test_an_amendment_passes_the_same_gate() -> None:
    said = {"concerns": [ASKED], "urgency": "soon", "legal_basis": {"kind": "consent", "covers_concerns": ["asylum"]}}

    passed = amendment_without_asylum(Amendment.model_validate_json(json.dumps(said)))

    assert passed.concerns is None
    assert "asylum" not in passed.model_dump_json()
    assert passed.urgency == "soon"


def test_nothing_waits_for_an_asylum_question() -> None:
    concerns = [
        {**ASKED, "ref": "a"},
        a_concern(after=["a"]),
        a_concern("debt", ref="d", after=["a", "c"]),
        a_concern("childcare", ref="c"),
    ]

    passed = without_asylum(a_case(concerns=concerns))
    amended = amendment_without_asylum(Amendment.model_validate_json(json.dumps({"concerns": concerns})))

    assert passed is not None
    assert passed.concerns == amended.concerns
    assert [concern.after for concern in passed.concerns] == [None, ("c",), None]
    plain = [a_concern(), a_concern("debt", ref="d", after=["c"]), a_concern("childcare", ref="c")]
    assert passed.model_dump_json() == a_case(concerns=plain).model_dump_json()
