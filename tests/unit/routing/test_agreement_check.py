"""What is found in an agreement before it counts."""

import time
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import pytest
from agreement_builders import BEGIN, a_partner, a_rule, an_agreement
from hypothesis import given
from hypothesis import strategies as st

from services.routing.domain.agreement import Agreement, Closure, Partner, Rule
from services.routing.domain.agreement_check import Severity, check, errors_of
from shared.contracts.codes import AgeBand, Concern, Municipality, SubTopic, TargetGroup

TOWNS = frozenset({Municipality.KRIFTEL, Municipality.EPPSTEIN})
OTHER_TOWNS = frozenset(Municipality) - TOWNS


def errors(agreement: Agreement, *others: Agreement) -> list[str]:
    found = errors_of(check(agreement, others, BEGIN))
    return [f"{finding.where}: {finding.what}" for finding in found]


def warnings(agreement: Agreement, *, about: str) -> list[str]:
    found = check(agreement, (), BEGIN)
    return [one.what for one in found if one.severity is Severity.WARNING and about in one.where]


def closed(first: str, days: int) -> Closure:
    """Closed for so many days."""
    begin = date.fromisoformat(first)
    return Closure(first=begin, last=begin + timedelta(days=days - 1))


@pytest.mark.parametrize(
    ("agreement", "expected"),
    [
        (an_agreement(valid_to=date(2029, 12, 31)), "valid_to: lies before valid_from"),
        (an_agreement(partners=(a_partner("awo"), a_partner("awo"))), "partners: awo: the id is used twice"),
        (
            an_agreement(partners=(a_partner("awo"), a_partner("office"))),
            "partners: office: the id is that of the front desk, which is no partner",
        ),
        (an_agreement(a_rule("one", "awo"), a_rule("one", "awo")), "rules: one: the id is used twice"),
        (an_agreement(a_rule("one", "avo")), "rules: one: takers: no partner of this agreement: avo"),
        (
            an_agreement(a_rule("one", "awo", hand_on_to=("vhz", "office"))),
            "rules: one: hand_on_to: no partner of this agreement: vhz, office",
        ),
        (an_agreement(a_rule("one")), "rules: one: takers: either takers or a sheet answer; name one of both"),
        (
            an_agreement(a_rule("one", "awo", sheet="debt")),
            "rules: one: takers: either takers or a sheet answer; name one of both",
        ),
        (
            an_agreement(a_rule("one", "awo", towns=frozenset())),
            "rules: one: towns: names none, so the rule fits nobody; leave it out where all are meant",
        ),
        (
            an_agreement(a_rule("one", "awo", valid_from=date(2029, 12, 31))),
            "rules: one: valid_from: lies outside the term, 2030-01-01 to 2031-12-31",
        ),
        (
            an_agreement(a_rule("one", "awo", valid_to=date(2032, 1, 1))),
            "rules: one: valid_to: lies outside the term, 2030-01-01 to 2031-12-31",
        ),
        (
            an_agreement(a_rule("one", "awo", valid_from=date(2030, 7, 1), valid_to=date(2030, 6, 30))),
            "rules: one: valid_to: lies before valid_from",
        ),
        (
            an_agreement(a_rule("one", "awo"), a_rule("two", "vhs", ages=("18-26", "27-64"))),
            "rules: one, two: contradict each other: debt is in both, for instance of 18-26, 27-64",
        ),
        (
            an_agreement(
                a_rule("one", "awo", towns={"Kriftel", "Eppstein"}, valid_from=date(2031, 1, 1)),
                a_rule("two", "vhs", languages={"ar"}),
            ),
            "rules: one, two: contradict each other: debt is in both, "
            "for instance of Eppstein, Kriftel; language ar; 2031-01-01 to 2031-12-31",
        ),
        (
            an_agreement(a_rule("one", "awo"), a_rule("two", "awo", response_days=3)),
            "rules: one, two: contradict each other: debt is in both, for instance of anybody",
        ),
        (
            an_agreement(a_rule("one", "awo", hand_on_to=("awo",))),
            "rules: hand_on_to: debt can be handed on in a circle: awo",
        ),
        (
            an_agreement(
                a_rule("one", "awo", hand_on_to=("vhs",)),
                a_rule("two", "vhs", towns={"Kriftel"}, hand_on_to=("caritas",)),
                a_rule("three", "caritas", languages={"ar"}, towns={"Kriftel"}, hand_on_to=("awo",)),
            ),
            "rules: hand_on_to: debt can be handed on in a circle: awo, vhs, caritas",
        ),
        (an_agreement(replaces="2017-01-09"), "replaces: there is no version 2017-01-09"),
        (an_agreement(replaces="2030-01-01"), "replaces: names this version itself"),
        (an_agreement(version="2040-02-31"), "version: there is no day 2040-02-31"),
        (
            an_agreement(partners=(a_partner("awo", closed=(closed("2030-08-14", 3), closed("2030-08-01", 14))),)),
            "partners: awo: closed: 2030-08-01 to 2030-08-14 and 2030-08-14 to 2030-08-16 overlap",
        ),
        (
            an_agreement(partners=(a_partner("awo", closed=(closed("2080-08-01", 14),)),)),
            "partners: awo: closed: 2080-08-01: public holidays are known from 2000 to 2075",
        ),
        (
            an_agreement(partners=(a_partner("awo", closed=(closed("0001-01-01", 14),)),)),
            "partners: awo: closed: date value out of range",
        ),
    ],
)
def test_what_cannot_be_is_an_error(agreement: Agreement, expected: str) -> None:
    assert errors(agreement) == [expected]


@pytest.mark.parametrize(
    "rules",
    [
        [a_rule("one", "awo", ages=("0-5",)), a_rule("two", "vhs", ages=("6-11",))],
        [a_rule("one", "awo", towns={"Kriftel"}), a_rule("two", "vhs", towns={"Eppstein"})],
        [a_rule("one", "awo", languages={"ar"}), a_rule("two", "vhs", languages={"tr"})],
        [a_rule("one", "awo", target_groups={"refugee"}), a_rule("two", "vhs", target_groups={"newcomer"})],
        [a_rule("one", "awo", sub_topics={"health"}), a_rule("two", "vhs", sub_topics={"family"})],
        [a_rule("one", "awo", valid_to=date(2030, 6, 30)), a_rule("two", "vhs", valid_from=date(2030, 7, 1))],
        [a_rule("one", "awo"), a_rule("two", "vhs", towns={"Kriftel"})],
        [a_rule("one", "awo"), a_rule("two", "vhs", fields=("childcare",))],
        [a_rule("one", "awo"), a_rule("two", "awo", ages=("18-26",))],
        [
            a_rule("one", "awo", towns={"Kriftel"}),
            a_rule("two", "vhs", languages={"ar"}),
            a_rule("both", "caritas", towns={"Kriftel"}, languages={"ar"}),
        ],
        [
            a_rule("one", "awo", ages=("0-5",), hand_on_to=("vhs",)),
            a_rule("two", "vhs", ages=("6-11",), hand_on_to=("awo",)),
        ],
        [a_rule("one", "awo", hand_on_to=("vhs",)), a_rule("two", "vhs", fields=("childcare",), hand_on_to=("awo",))],
    ],
)
def test_rules_that_do_not_meet_are_no_error(rules: list[Rule]) -> None:
    assert errors(an_agreement(*rules)) == []


OLD = an_agreement(version="2029-01-01", valid_from=date(2029, 1, 1))
BETWEEN = an_agreement(version="2029-07-01", valid_from=date(2029, 7, 1), replaces="2029-01-01")


@pytest.mark.parametrize(
    ("replaces", "others", "said"),
    [
        (
            None,
            [OLD],
            ["valid_from: the term overlaps that of 2029-01-01, and the later one does not replace the other"],
        ),
        ("2029-01-01", [OLD], []),
        ("2029-07-01", [OLD, BETWEEN], []),
        (None, [an_agreement(version="2032-01-01", valid_from=date(2032, 1, 1), valid_to=date(2033, 12, 31))], []),
        (None, [an_agreement(version="2031-07-01", valid_from=date(2031, 7, 1), replaces="2030-01-01")], []),
        (
            "2030-01-02",
            [an_agreement(version="2030-01-02")],
            ["valid_from: the term overlaps that of 2030-01-02, and the later one does not replace the other"],
        ),
        (None, [an_agreement()], ["version: another agreement has the same"]),
    ],
)
def test_a_term_overlaps_only_the_one_it_replaces(
    replaces: str | None, others: list[Agreement], said: list[str]
) -> None:
    assert errors(an_agreement(replaces=replaces), *others) == said


def test_a_term_that_has_ended_is_worth_a_warning() -> None:
    agreement = an_agreement()

    assert "the term has ended on 2031-12-31" in [one.what for one in check(agreement, (), date(2032, 1, 1))]
    assert "valid_to" not in [one.where for one in check(agreement, (), agreement.valid_to)]


@pytest.mark.parametrize(
    ("rules", "gaps"),
    [
        ([a_rule("one", "awo")], []),
        ([a_rule("one", "awo", ages=tuple(AgeBand)[:5])], ["no rule covers 65+, unknown"]),
        ([a_rule("one", "awo", towns=frozenset(Municipality) - {"Kriftel"})], ["no rule covers Kriftel"]),
        ([a_rule("one", "awo", towns={"Kriftel"})], ["no rule covers towns other than Kriftel"]),
        ([a_rule("one", "awo", languages={"ar", "tr"})], ["no rule covers language other than ar, tr"]),
        (
            [a_rule("one", "awo", languages={"ar"}), a_rule("two", "vhs", towns={"Kriftel"})],
            ["no rule covers towns other than Kriftel; language other than ar"],
        ),
        ([a_rule("one", "awo", valid_from=date(2030, 7, 1))], ["no rule covers 2030-01-01 to 2030-06-30"]),
        ([a_rule("one", "awo", fields=("childcare",))], ["no rule covers anybody"]),
    ],
)
def test_what_nobody_covers_is_told_in_few_words(rules: list[Rule], gaps: list[str]) -> None:
    assert warnings(an_agreement(*rules), about="gap: debt") == gaps


@pytest.mark.parametrize(
    ("rules", "who"),
    [
        ([a_rule("one", "awo", languages={"ar"}), a_rule("two", "vhs", languages={"tr"})], "language ar and tr"),
        (
            [
                a_rule("one", "awo", target_groups={"refugee"}, towns={"Kriftel", "Eppstein"}),
                a_rule("two", "vhs", target_groups={"newcomer"}, towns={"Kriftel"}, ages=("0-5",)),
            ],
            "0-5; Kriftel; target group refugee and newcomer",
        ),
        (
            [
                a_rule("one", "awo", languages={"ar"}),
                a_rule("two", "vhs", languages={"tr"}),
                a_rule("special", "caritas", languages={"ar", "tr"}, target_groups=set(TargetGroup) - {"refugee"}),
            ],
            "target group other than newcomer, eu_citizen, resettler, single_parent, unaccompanied_minor; "
            "language ar and tr",
        ),
    ],
)
def test_whoever_fits_two_equal_rules_by_two_values_goes_by_the_first(rules: list[Rule], who: str) -> None:
    assert warnings(an_agreement(*rules), about="rules: one, two") == [
        f"debt: whoever fits both ({who}) goes by one, the first in the file"
    ]


@pytest.mark.parametrize(
    "rules",
    [
        [a_rule("one", "awo", languages={"ar"}), a_rule("two", "awo", languages={"tr"})],
        [a_rule("one", "awo", languages={"ar"}, ages=("0-5",)), a_rule("two", "vhs", languages={"tr"}, ages=("65+",))],
        [a_rule("one", "awo", languages={"ar"}), a_rule("two", "vhs", languages={"tr"}, towns={"Kriftel"})],
        [
            a_rule("one", "awo", languages={"ar"}, valid_to=date(2030, 6, 30)),
            a_rule("two", "vhs", languages={"tr"}, valid_from=date(2030, 7, 1)),
        ],
    ],
)
def test_rules_of_which_nobody_fits_two_need_no_second_look(rules: list[Rule]) -> None:
    assert warnings(an_agreement(*rules), about="rules") == []


def test_pairs_beyond_the_fifth_are_counted() -> None:
    languages = ("ar", "fa", "ku", "tr", "uk")
    rules = [a_rule(f"rule-{language}", f"p-{language}", languages={language}) for language in languages]
    partners = tuple(a_partner(f"p-{language}") for language in languages)

    told = warnings(an_agreement(*rules, partners=partners), about="rules")

    assert (len(told), told[-1]) == (6, "debt: and 5 more pairs fit people of two languages or target groups")


@pytest.mark.parametrize(
    "rules",
    [
        [a_rule("one", "awo"), a_rule("idle", "awo", ages=("18-26",))],
        [a_rule("idle", "awo"), a_rule("north", "vhs", towns=TOWNS), a_rule("south", "vhs", towns=OTHER_TOWNS)],
        [
            a_rule("first", "awo", towns=TOWNS, languages={"ar"}),
            a_rule("equal", "awo", towns=OTHER_TOWNS),
            a_rule("idle", "awo", towns={"Hofheim am Taunus"}),
        ],
    ],
)
def test_a_rule_that_never_counts_is_named(rules: list[Rule]) -> None:
    assert warnings(an_agreement(*rules), about="rules: ") == [
        "never counts for debt: more special rules, or equal ones before it, decide all it fits"
    ]


@pytest.mark.parametrize(
    ("partner", "said"),
    [
        (
            a_partner("awo", closed=(closed("2030-06-01", 61),)),
            ["2030-06-01 to 2030-07-31: an answer to an offer of 2030-05-31 may take until 2030-08-07"],
        ),
        (
            a_partner("awo", closed=(closed("2030-06-01", 30), closed("2030-07-02", 30))),
            ["2030-06-01 to 2030-06-30: an answer to an offer of 2030-05-31 may take until 2030-08-06"],
        ),
        (a_partner("awo", closed=(closed("2030-06-01", 30),)), []),
        (
            a_partner("awo", response_days=20, closed=(closed("2030-06-01", 45),)),
            ["2030-06-01 to 2030-07-15: an answer to an offer of 2030-05-31 may take until 2030-08-12"],
        ),
        (a_partner("awo", response_days=50, closed=(closed("2030-06-01", 3),)), []),
    ],
)
def test_closing_days_that_keep_somebody_waiting_for_months_are_worth_a_warning(
    partner: Partner, said: list[str]
) -> None:
    rules = (a_rule("any", "awo"), a_rule("quick", "awo", towns={"Kriftel"}, response_days=2))

    assert warnings(an_agreement(*rules, partners=(partner,)), about="partners: awo: closed") == said


def test_a_gap_of_many_parts_is_cut() -> None:
    towns = list(Municipality)
    rules = [a_rule(f"rule-{n}", "awo", towns={towns[n]}, ages=(list(AgeBand)[n],)) for n in range(7)]

    told = warnings(an_agreement(*rules), about="gap: debt")

    assert (len(told), told[-1]) == (6, "and 2 more parts")


def test_an_agreement_of_thousands_of_rules_is_checked_at_once() -> None:
    """40 partners with 60 rules each, in 12 towns."""
    fields, ages, towns = list(Concern), list(AgeBand), list(Municipality)
    rules = [
        a_rule(
            f"rule-{n}",
            f"partner-{n % 40}",
            fields=(fields[n % 12],),
            ages=(ages[n // 12 % 7],),
            towns={towns[n // 84 % 12]},
            valid_from=date(2030 + n // 1008, 1, 1) if n < 2016 else None,
        )
        for n in range(2400)
    ]
    agreement = an_agreement(*rules, partners=tuple(a_partner(f"partner-{n}") for n in range(40)))
    began = time.process_time()

    found = check(agreement, (), BEGIN)

    assert time.process_time() - began < 2
    assert found != ()


AGES = [AgeBand.INFANT, AgeBand.SENIOR]
DAYS = [date(2030, 1, 1), date(2030, 7, 1), date(2031, 1, 1)]


def some(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.frozensets(st.sampled_from(values), min_size=1)


criteria = st.fixed_dictionaries(
    {
        "takers": st.sampled_from([("awo",), ("vhs",)]),
        "ages": st.lists(st.sampled_from(AGES), min_size=1, unique=True).map(tuple),
        "towns": some(sorted(TOWNS)),
        "languages": some(["ar", "tr"]),
        "target_groups": some([TargetGroup.REFUGEE, TargetGroup.NEWCOMER]),
        "sub_topics": some([SubTopic.HEALTH, SubTopic.FAMILY]),
        "valid_from": st.none() | st.sampled_from(DAYS),
    }
)


ONE_OF_EACH = [({language}, {group}) for language in ("ar", "tr", "uk") for group in ("refugee", "newcomer", "none")]
TWO_OF_ONE = [({"ar", "tr"}, groups) for _, groups in ONE_OF_EACH[:3]] + [
    (languages, {"refugee", "newcomer"}) for languages, _ in ONE_OF_EACH[::3]
]


def contradicts_itself(rules: Sequence[Rule], people: Sequence[tuple[set[str], set[str]]]) -> bool:
    """Every need of these people, one by one: a value that rules name, and one that none of them names."""
    for age in AGES:
        for town in [*TOWNS, Municipality.HOFHEIM]:
            for languages, groups in people:
                for topic in (SubTopic.HEALTH, SubTopic.FAMILY, None):
                    for day in DAYS:
                        fitting = [
                            rule
                            for rule in rules
                            if age in rule.ages
                            and (rule.towns is None or town in rule.towns)
                            and (rule.languages is None or rule.languages & languages)
                            and (rule.target_groups is None or rule.target_groups & groups)
                            and (rule.sub_topics is None or topic in rule.sub_topics)
                            and rule.is_valid(day)
                        ]
                        highest = max((rule.rank for rule in fitting), default=0)
                        if len({rule.takers for rule in fitting if rule.rank == highest}) > 1:
                            return True
    return False


def where_both_meet(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any] | None:
    """The criteria of a rule that decides between two others."""
    named = {
        key: one[key] & other[key] if one[key] and other[key] else one[key] or other[key]
        for key in ("towns", "languages", "target_groups", "sub_topics")
    }
    ages = tuple(age for age in one["ages"] if age in other["ages"])
    if not ages or frozenset() in named.values():
        return None
    return {"takers": one["takers"], "ages": ages, "valid_from": None, **named}


@given(drawn=st.lists(criteria, min_size=1, max_size=4), settled=st.booleans())
def test_rules_meet_where_two_of_the_highest_rank_and_other_takers_fit_somebody(
    drawn: list[dict[str, Any]], settled: bool
) -> None:
    meetings = [where_both_meet(one, other) for one, other in combinations(drawn, 2)] if settled else []
    every = [*drawn, *filter(None, meetings)]
    rules = [a_rule(f"rule-{number}", **facts) for number, facts in enumerate(every)]

    found = check(an_agreement(*rules), (), BEGIN)

    contradiction = contradicts_itself(rules, ONE_OF_EACH)
    assert any("contradict" in one.what for one in found) == contradiction
    assert any("whoever fits both" in one.what for one in found) == (
        not contradiction and contradicts_itself(rules, TWO_OF_ONE)
    )
