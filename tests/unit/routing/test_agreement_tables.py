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
        ("12-17, 18-26", "awo (within 3 working days; may hand on to vhs)", "towns other than Kriftel", "young"),
        ("all", "vhs, office (by load)", "Kriftel", "kriftel"),
        ("27-64", "sheet debt", "towns other than Kriftel; language ar; 2031-01-01 to 2031-12-31", "arabic"),
        ("0-5, 6-11, 65+, unknown", "nobody", "towns other than Kriftel", ""),
        ("27-64", "nobody", "towns other than Kriftel; language ar; 2030-01-01 to 2030-12-31", ""),
        ("27-64", "nobody", "towns other than Kriftel; language other than ar", ""),
    ]


def test_a_common_rule_stands_with_what_special_ones_leave_it() -> None:
    rules = (
        a_rule("common", "awo"),
        a_rule("kriftel", "vhs", towns={"Kriftel"}),
        a_rule("arabic", "caritas", towns={"Kriftel"}, languages={"ar"}),
        a_rule("idle", "vhs", towns={"Kriftel"}),
    )

    assert debt_in(an_agreement(*rules)) == [
        ("all", "awo", "towns other than Kriftel", "common"),
        ("all", "vhs", "Kriftel; language other than ar", "kriftel"),
        ("all", "caritas", "Kriftel; language ar", "arabic"),
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


HANDED_OVER = an_agreement(
    a_rule("one", "awo", valid_from=date(2030, 1, 1), valid_to=date(2030, 12, 31)),
    a_rule("two", "vhs", valid_from=date(2031, 1, 1), valid_to=date(2031, 12, 31)),
)


def of_debt(old: Agreement, new: Agreement) -> list[tuple[str, str, str]]:
    return [change for change in changes(old, new) if change[0].startswith("debt")]


def test_rules_with_terms_of_their_own_are_compared_day_by_day() -> None:
    steady = an_agreement(a_rule("any", "awo"))

    assert changes(HANDED_OVER, HANDED_OVER) == []
    assert changes(steady, HANDED_OVER) == [("debt; 2031-01-01 to 2031-12-31", "awo", "vhs")]
    assert changes(HANDED_OVER, steady) == [("debt; 2031-01-01 to 2031-12-31", "vhs", "awo")]


def test_days_outside_the_old_term_are_compared_with_its_nearest_day() -> None:
    earlier = an_agreement(a_rule("any", "awo"), valid_from=date(2029, 1, 1), valid_to=date(2029, 12, 31))
    later = {"version": "2032-01-01", "valid_from": date(2032, 1, 1), "valid_to": date(2033, 12, 31)}
    returning = (a_rule("any", "vhs", valid_to=date(2032, 6, 30)), a_rule("back", "awo", valid_from=date(2032, 7, 1)))

    assert of_debt(HANDED_OVER, earlier) == []
    assert of_debt(HANDED_OVER, an_agreement(a_rule("any", "vhs"), **later)) == []
    assert of_debt(HANDED_OVER, an_agreement(*returning, **later)) == [("debt; 2032-07-01 to 2033-12-31", "vhs", "awo")]


def test_a_term_that_begins_within_the_old_is_compared_with_the_same_days() -> None:
    sooner = an_agreement(a_rule("any", "awo"), version="2030-07-01", valid_from=date(2030, 7, 1))

    assert of_debt(HANDED_OVER, sooner) == [("debt; 2031-01-01 to 2031-12-31", "vhs", "awo")]


def test_july_2017_moved_schooling_of_the_young_to_the_diakonie() -> None:
    opening, practice, _ = AGREEMENTS.terms

    assert ("school_education; 0-5, 6-11, 12-17, 18-26", "awo", "diakonie") in changes(opening, practice)
    assert ("partners: vhs: places", "integrationsbuero", "vhs-haus") in changes(opening, practice)
