"""What no single field shows is named by its place as well."""

from typing import Any

import pytest
from intake_builders import NOW, a_case, a_concern, a_person

from services.intake.domain.contradictions import contradictions_in


def places(*, imported: bool = False, **said: Any) -> list[str]:
    return [
        fault.where
        for fault in contradictions_in(
            a_case(**said), NOW, imported=imported, partners=("awo", "vhs", "caritas"), denominational=("caritas",)
        )
    ]


def test_a_plain_case_has_none() -> None:
    assert places() == []


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"persons": [a_person(relation="child")]}, "/persons"),
        ({"persons": [a_person(), a_person("p2")]}, "/persons"),
        ({"persons": [a_person(), a_person(relation="child")]}, "/persons/1/ref"),
        ({"persons": [a_person(birth_date="2026-11-24")]}, "/persons/0/birth_date"),
        ({"persons": [a_person(birth_date=None, birth_year=2027)]}, "/persons/0/birth_year"),
        ({"persons": [a_person(birth_date="1990-01-01", birth_year=1991)]}, "/persons/0/birth_year"),
        ({"concerns": [a_concern(for_person="p9")]}, "/concerns/0/for_person"),
        ({"concerns": [a_concern(), a_concern("debt"), a_concern()]}, "/concerns/2"),
        ({"legal_basis": {"kind": "consent", "given_on": "2026-11-24"}}, "/legal_basis/given_on"),
        ({"legal_basis": {"kind": "consent", "withdrawn_on": "2026-11-24"}}, "/legal_basis/withdrawn_on"),
        (
            {"legal_basis": {"kind": "consent", "covers_partners": ["awo", "olena-beispiel-geb-1990"]}},
            "/legal_basis/covers_partners/1",
        ),
        ({"received_at": "2017-02-10T08:46:27+01:00"}, "/received_at"),
        ({"preferred_partners": ["awo", "olena-beispiel"]}, "/preferred_partners/1"),
        ({"excluded_partners": ["olena-beispiel"]}, "/excluded_partners/0"),
        ({"preferred_partners": ["vhs", "awo"], "excluded_partners": ["awo"]}, "/preferred_partners/1"),
        ({"preferred_partners": ["caritas"], "wishes": ["not_denominational"]}, "/preferred_partners/0"),
        ({"concerns": [a_concern(ref="a"), a_concern("debt", ref="a")]}, "/concerns/1/ref"),
        ({"concerns": [a_concern(ref="a", after=["b"])]}, "/concerns/0/after/0"),
        ({"concerns": [a_concern(ref="a", after=["a"])]}, "/concerns/0/after/0"),
        (
            {"concerns": [a_concern(ref="a", after=["b"]), a_concern("debt", ref="b", after=["a"])]},
            "/concerns/0/after",
        ),
        (
            {
                "concerns": [
                    a_concern("childcare"),
                    a_concern(ref="a", after=["c"]),
                    a_concern("debt", ref="b", after=["a"]),
                    a_concern("job_search", ref="c", after=["b"]),
                ]
            },
            "/concerns/1/after",
        ),
    ],
)
def test_a_contradiction_is_named(said: dict[str, Any], place: str) -> None:
    assert places(**said) == [place]


def test_the_same_concern_of_two_persons_is_no_repetition() -> None:
    assert (
        places(persons=[a_person(), a_person("p2", "child")], concerns=[a_concern(), a_concern(for_person="p2")]) == []
    )


def test_only_an_import_says_when_a_case_was_received_and_only_in_the_past() -> None:
    assert places(received_at="2017-02-10T08:46:27+01:00", imported=True) == []
    assert places(received_at="2017-02-10T08:46:27+01:00", channel="import") == []
    assert places(received_at="2026-11-23T12:00:01Z", imported=True) == ["/received_at"]
