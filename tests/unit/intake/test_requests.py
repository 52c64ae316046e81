"""What is wrong with a request is named, and however much it is, the answer stays small."""

import json
from typing import Any

import pytest
from intake_builders import a_body, a_concern, a_person

from services.intake.domain.requests import NewCase
from shared.web.bodies import parse_json
from shared.web.problems import ProblemError

MANY = 20_000


def faults_in(**said: Any) -> list[dict[str, str]]:
    """What the answer names in a case that says this."""
    with pytest.raises(ProblemError) as refused:
        parse_json(json.dumps(a_body(**said)).encode(), NewCase)
    assert refused.value.status_code == 422
    return [dict(fault) for fault in refused.value.errors]


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"persons": [{}] * MANY}, "/persons/0/"),
        ({"concerns": [{}] * MANY}, "/concerns/0/"),
        ({"wishes": ["x"] * MANY}, "/wishes/0"),
        ({"languages": {"also": ["x"] * MANY}}, "/languages/also/0"),
        ({"contact": {"may_contact_by": ["x"] * MANY}}, "/contact/may_contact_by/0"),
        ({"legal_basis": {"covers_partners": ["x!"] * MANY}}, "/legal_basis/covers_partners/0"),
        ({"legal_basis": {"covers_concerns": ["x!"] * MANY}}, "/legal_basis/covers_concerns/0"),
        ({"legal_basis": {"field_groups": ["x"] * MANY}}, "/legal_basis/field_groups/0"),
        ({"preferred_partners": ["x!"] * MANY}, "/preferred_partners/0"),
        ({"excluded_partners": ["x!"] * MANY}, "/excluded_partners/0"),
        ({"persons": [a_person(target_groups=["x"] * MANY)]}, "/persons/0/target_groups/0"),
        ({"concerns": [a_concern(after=["x!"] * MANY)]}, "/concerns/0/after/0"),
    ],
)
def test_a_list_is_given_up_at_its_first_wrong_member(said: dict[str, Any], place: str) -> None:
    faults = faults_in(**said)

    assert 1 <= len(faults) <= 2
    assert {fault["pointer"].startswith(place) for fault in faults} == {True}
    assert all(fault["detail"] for fault in faults)


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"persons": [a_person(target_groups=["refugee", "newcomer", "refugee"])]}, "/persons/0/target_groups"),
        ({"concerns": [a_concern(after=["a", "a"])]}, "/concerns/0/after"),
        ({"preferred_partners": ["awo", "awo"]}, "/preferred_partners"),
        ({"excluded_partners": ["awo", "awo"]}, "/excluded_partners"),
    ],
)
def test_what_is_named_twice_is_refused(said: dict[str, Any], place: str) -> None:
    assert faults_in(**said) == [{"pointer": place, "detail": "Input should name each of its members once"}]


def test_each_list_that_has_a_wrong_member_is_named() -> None:
    faults = faults_in(municipality="Atlantis", concerns=[{}], wishes=["x"])

    assert {fault["pointer"].split("/")[1] for fault in faults} == {"municipality", "concerns", "wishes"}
