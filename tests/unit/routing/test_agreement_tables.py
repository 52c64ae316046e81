"""Who takes what, and what changes from one agreement to the next."""

from datetime import date

from agreement_builders import a_partner, a_rule, an_agreement
from routing_builders import AGREEMENTS

from services.routing.domain.agreement import Agreement, Closure
from services.routing.domain.agreement_tables import coverage, diff
from shared.contracts.codes import Concern


def debt_in(agreement: Agreement) -> list[tuple[str, str, str, str]]:
    return [(c.ages, c.takers, c.limits, c.rule) for c in coverage(agreement) if c.code is Concern.DEBT]


def changes(old: Agreement, new: Agreement) -> list[tuple[str, str, str]]:
    return [(change.where, change.before, change.after) for change in diff(old, new)]


def test_the_table_names_who_takes_which_ages_within_which_limits() -> None:
    rules = (
        a_rule("kriftel", "vhs", "office", towns={"Kriftel"}, turn=("load",)),
        a_rule("young", "awo", ages=("12-17", "18-26"), hand_on_to=("vhs",), response_days=3),
        a_rule("arabic", sheet="debt", ages=("27-64",), languages={"ar"}, valid_from=date(2031, 1, 1)),
    )

    assert debt_in(an_agreement(*rules)) == [
        ("12-17, 18-26", "awo (within 3 working days; may hand on to vhs)", "", "young"),
        ("all", "vhs, office (by load)", "Kriftel", "kriftel"),
        ("27-64", "sheet debt", "language ar; 2031-01-01 to 2031-12-31", "arabic"),
        ("0-5, 6-11, 65+, unknown", "nobody", "towns other than Kriftel", ""),
        ("27-64", "nobody", "towns other than Kriftel; language ar; 2030-01-01 to 2030-12-31", ""),
        ("27-64", "nobody", "towns other than Kriftel; language other than ar", ""),
    ]


def test_the_table_has_every_field_of_work() -> None:
    assert {line.code for line in coverage(an_agreement())} == set(Concern)


def test_an_agreement_changes_nothing_against_itself() -> None:
    assert [changes(term, term) for term in AGREEMENTS] == [[], [], []]


def test_partners_are_compared_key_by_key() -> None:
    awo = a_partner("awo")
    closed = a_partner("awo", response_days=3, closed=(Closure(first=date(2031, 8, 1), last=date(2031, 8, 14)),))
    old = an_agreement(partners=(awo, a_partner("vhs")))
    new = an_agreement(partners=(closed, a_partner("ib", name="Internationaler Bund")), clocks={"review": 10})

    assert changes(old, new) == [
        ("clocks: review", "20", "10"),
        ("partners: awo: response_days", "5", "3"),
        ("partners: awo: closed", "-", "2031-08-01 to 2031-08-14"),
        ("partners: vhs", "vhs", "-"),
        ("partners: ib", "-", "Internationaler Bund"),
    ]


def test_who_takes_what_is_compared_need_by_need() -> None:
    old = an_agreement(a_rule("one", "awo"), a_rule("two", "vhs", towns={"Kriftel"}))
    new = an_agreement(
        a_rule("renamed", "awo", ages=("0-5", "6-11", "12-17", "18-26", "27-64", "65+")),
        a_rule("two", "vhs", towns={"Kriftel"}, languages={"ar"}),
        a_rule("second", "vhs", towns={"Kriftel"}, ages=("27-64",)),
    )

    assert changes(old, new) == [
        ("debt; 0-5, 6-11, 12-17, 18-26, 65+; Kriftel; language other than ar", "vhs", "awo"),
        ("debt; unknown; Kriftel; language other than ar", "vhs", "nobody"),
        ("debt; unknown; towns other than Kriftel", "awo", "nobody"),
    ]


def test_the_end_of_the_old_term_is_compared_with_the_begin_of_the_new() -> None:
    agreement = an_agreement(
        a_rule("one", "awo", valid_to=date(2030, 12, 31)), a_rule("two", "vhs", valid_from=date(2031, 1, 1))
    )

    assert changes(agreement, agreement) == [("debt", "vhs", "awo")]


def test_july_2017_moved_schooling_of_the_young_to_the_diakonie() -> None:
    opening, practice, _ = AGREEMENTS.terms

    assert ("school_education; 0-5, 6-11, 12-17, 18-26", "awo", "diakonie") in changes(opening, practice)
    assert ("partners: vhs: places", "integrationsbuero", "vhs-haus") in changes(opening, practice)
