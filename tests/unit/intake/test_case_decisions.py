"""What follows from opening, amending and withdrawing a case, and from its progress."""

import json
from datetime import timedelta
from typing import Any

import pytest
from intake_builders import NOW, a_case, a_concern, a_person, an_open_case

from services.intake.domain.cases import IntakeCase
from services.intake.domain.decisions import add_note, amend_case, note_progress, open_case, withdraw_case
from services.intake.domain.persons import for_messages
from services.intake.domain.requests import Amendment, NewNote
from services.intake.domain.views import shown
from shared.contracts.base import new_id
from shared.contracts.codes import CaseState, ReferralState, ServiceOutcome, WithdrawalReason
from shared.contracts.intake import CaseAmended, CaseOpened, CaseWithdrawn
from shared.contracts.routing import CaseProgressed, Standing
from shared.pipeline.decisions import Decision

DENOMINATIONAL = ("caritas", "diakonie")


def opened(**said: Any) -> CaseOpened:
    [event] = open_case(a_case(**said), new_id(), NOW, DENOMINATIONAL).events
    assert isinstance(event, CaseOpened)
    return event


def amended(case: IntakeCase | None, **said: Any) -> Decision[IntakeCase]:
    return amend_case(Amendment.model_validate_json(json.dumps(said)), case, NOW)


def test_an_opened_case_travels_in_codes_only() -> None:
    persons = [
        a_person(family_name="Kovalenko", nationality="UA"),
        a_person("p2", "child", given_name="Taras", birth_date="2015-06-01"),
    ]
    contact = {"phone": "0171 3920067", "email": "olena@example.org", "may_contact_by": ["email"]}
    event = opened(
        persons=persons,
        contact=contact,
        address={"street": "Musterweg 1", "postcode": "65760", "town": "Eschborn"},
        concerns=[a_concern("debt", note="4.700 Euro"), a_concern("childcare", "p2")],
        free_text="KANARI",
    )

    sent = event.model_dump_json()
    assert [concern.age_band for concern in event.concerns] == ["27-64", "6-11"]
    assert event.concerns[0].person_id == event.person_id != event.concerns[1].person_id
    for secret in ("Olena", "Kovalenko", "Taras", "3920067", "@", "Musterweg", "4.700", "KANARI", "1990", "UA"):
        assert secret not in sent


def test_the_age_is_that_of_the_day_the_case_was_received() -> None:
    event = opened(persons=[a_person(birth_date="1998-03-01")], received_at="2017-03-20T09:00:00Z", channel="import")

    assert event.concerns[0].age_band == "18-26"
    assert event.received_at.isoformat() == "2017-03-20T09:00:00+00:00"


def test_a_wish_travels_as_what_it_means() -> None:
    event = opened(wishes=["not_denominational", "female_counsellor"])

    assert event.excluded_partners == DENOMINATIONAL
    assert event.needs == ("female_counsellor",)
    assert "denominational" not in event.model_dump_json()


def test_a_partner_is_ruled_out_by_name_as_well() -> None:
    event = opened(
        wishes=["not_denominational"],
        excluded_partners=["awo", "caritas"],
        preferred_partners=["vhs", "schuldnerberatung"],
    )

    assert event.excluded_partners == ("caritas", "diakonie", "awo")
    assert event.preferred_partners == ("vhs", "schuldnerberatung")


def test_other_exclusions_leave_the_wish_as_it_is() -> None:
    case = an_open_case(wishes=["not_denominational"], excluded_partners=["awo"], preferred_partners=["vhs"])

    [event] = amended(case, excluded_partners=["schuldnerberatung"]).events
    [emptied] = amended(case, excluded_partners=[], preferred_partners=[]).events

    assert isinstance(event, CaseAmended)
    assert event.excluded_partners == ("caritas", "diakonie", "schuldnerberatung")
    assert event.preferred_partners == ("vhs",)
    assert isinstance(emptied, CaseAmended)
    assert (emptied.excluded_partners, emptied.preferred_partners) == (("caritas", "diakonie"), ())


@pytest.mark.parametrize(
    ("said", "pointers"),
    [
        ({"preferred_partners": ["awo"]}, ["/preferred_partners/0"]),
        ({"preferred_partners": ["vhs", "caritas"]}, ["/preferred_partners/1"]),
        ({"excluded_partners": ["awo", "vhs"]}, ["/excluded_partners/1"]),
        ({"preferred_partners": ["awo"], "excluded_partners": []}, []),
    ],
)
def test_nobody_is_preferred_and_excluded_after_an_amendment(said: dict[str, Any], pointers: list[str]) -> None:
    case = an_open_case(wishes=["not_denominational"], excluded_partners=["awo"], preferred_partners=["vhs"])

    answer = amended(case, **said).answer or {"errors": []}

    assert [error["pointer"] for error in answer["errors"]] == pointers


def test_a_target_group_travels_with_each_concern_of_its_person() -> None:
    persons = [a_person(target_groups=["refugee", "single_parent"]), a_person("p2", "child")]
    case = an_open_case(persons=persons, concerns=[a_concern(), a_concern("childcare", "p2")])

    [event] = amended(case, concerns=[a_concern("debt")]).events

    assert isinstance(event, CaseAmended)
    assert [concern.target_groups for concern in event.concerns] == [
        ("refugee", "single_parent"),
        (),
        ("refugee", "single_parent"),
    ]
    assert "target_groups" not in case.new_records[0]["identity"]


def test_messages_try_what_is_read_first() -> None:
    assert opened(languages={"first": "ku", "reads": "tr", "also": ["de", "ku"]}).languages == ("tr", "ku", "de")
    assert opened(languages={"first": "ku", "reads": None}).languages == ("ku",)


def test_a_legal_basis_covers_the_concerns_it_names() -> None:
    event = opened(
        concerns=[a_concern("debt"), a_concern("german_course")],
        legal_basis={
            "kind": "consent",
            "covers_partners": ["awo"],
            "covers_concerns": ["debt"],
            "expires_on": "2027-01-01",
        },
    )

    assert event.legal_basis.partners == ("awo",)
    assert event.legal_basis.concerns == (event.concerns[0].concern_id,)
    assert str(event.legal_basis.valid_until) == "2027-01-01"
    assert opened(legal_basis={"kind": "consent", "covers_concerns": "all"}).legal_basis.concerns is None


def test_a_consent_that_was_withdrawn_is_no_ground() -> None:
    event = opened(
        channel="import",
        received_at="2017-03-20T09:00:00Z",
        legal_basis={"kind": "consent", "withdrawn_on": "2018-01-01"},
    )

    assert event.legal_basis.kind == "none"


def test_names_and_notes_stand_in_the_vault_only() -> None:
    case = an_open_case(concerns=[a_concern(note="hört schlecht")], free_text="KANARI")

    [record] = case.new_records
    assert record["identity"]["given_name"] == "Olena"
    assert record["notes"] == {
        "concerns": {case.concerns[0].concern_id: "hört schlecht"},
        "free_text": "KANARI",
    }
    kept = case.model_dump_json()
    assert "Olena" not in kept
    assert "KANARI" not in kept


def test_a_message_gets_names_contact_and_languages() -> None:
    contact = {"phone": None, "email": "olena@example.org", "may_contact_by": ["email"]}
    case = an_open_case(
        persons=[a_person(), a_person("p2", "child", family_name="Kovalenko")],
        contact=contact,
        languages={"first": "uk", "also": ["de"]},
    )

    main, child = map(for_messages, case.new_records)
    assert main == {
        "person_id": case.person_id,
        "given_name": "Olena",
        "family_name": "",
        "phone": None,
        "email": "olena@example.org",
        "may_contact_by": ["email"],
        "languages": ("uk", "de"),
    }
    assert (child["family_name"], child["email"], child["languages"]) == ("Kovalenko", None, ())


def test_an_amendment_tells_the_whole_state() -> None:
    case = an_open_case()

    decision = amended(
        case, municipality="Kriftel", concerns=[a_concern("debt", note="Strom")], languages={"first": "uk"}
    )

    [event] = decision.events
    assert isinstance(event, CaseAmended)
    assert (event.municipality, event.languages) == ("Kriftel", ("uk",))
    assert [concern.code for concern in event.concerns] == ["german_course", "debt"]
    assert decision.state is not None
    [change] = decision.state.changed_records
    assert change["_id"] == case.person_id
    assert change[f"notes.concerns.{event.concerns[1].concern_id}"] == "Strom"
    assert "Strom" not in event.model_dump_json()


def test_an_amendment_that_came_before_changes_nothing() -> None:
    case = an_open_case()
    once = amended(case, urgency="urgent", concerns=[a_concern("debt")]).state

    assert amended(once, urgency="urgent", concerns=[a_concern("debt")]) == Decision()


def test_a_note_to_a_known_concern_is_kept_and_no_event() -> None:
    case = an_open_case(concerns=[a_concern("debt"), a_concern()])
    debt = case.concerns[0].concern_id

    decision = amended(case, concerns=[a_concern("debt", note="Strom")])

    assert decision.events == ()
    assert decision.state is not None
    assert decision.state.concerns == case.concerns
    assert decision.state.changed_records == ({"_id": case.person_id, f"notes.concerns.{debt}": "Strom"},)


def test_a_new_contact_is_no_event() -> None:
    case = an_open_case()

    decision = amended(case, contact={"phone": "0171 3920067"})

    assert decision.events == ()
    assert decision.state is not None
    assert decision.state.changed_records == ({"_id": case.person_id, "contact.phone": "0171 3920067"},)


def test_a_case_holds_no_more_concerns_than_an_event() -> None:
    persons = [a_person(), *(a_person(f"p{n}", "child") for n in range(2, 8))]
    codes = (
        "german_course",
        "debt",
        "childcare",
        "housing_search",
        "job_search",
        "application_help",
        "school_education",
    )
    concerns = [a_concern(code, person["ref"]) for code in codes for person in persons]
    full = an_open_case(persons=persons, concerns=[*concerns, a_concern("money_management")])

    refused = amended(full, concerns=[a_concern("integration_course")])

    assert refused.answer is not None
    assert refused.answer["errors"][0]["pointer"] == "/concerns"


def test_a_concern_waits_for_others_of_its_request() -> None:
    decision = open_case(
        a_case(concerns=[a_concern("integration_course", after=["care"]), a_concern("childcare", ref="care")]),
        new_id(),
        NOW,
        DENOMINATIONAL,
    )

    [event] = decision.events
    assert isinstance(event, CaseOpened)
    course, care = event.concerns
    assert (course.after, care.after) == ((care.concern_id,), ())
    assert decision.answer is not None
    assert [concern.get("ref") for concern in decision.answer["concerns"]] == [None, "care"]


def test_an_amendment_names_concerns_of_the_case_by_id_and_its_own_by_ref() -> None:
    case = an_open_case(concerns=[a_concern("childcare")])
    [care] = case.concerns
    change = {
        "concerns": [
            a_concern("integration_course", after=[care.concern_id, "school", "care"]),
            a_concern("school_education", ref="school"),
            a_concern("childcare", ref="care"),
        ]
    }

    first = amended(case, **change)

    assert first.state is not None
    assert [concern.code for concern in first.state.concerns] == ["childcare", "integration_course", "school_education"]
    _, course, school = first.state.concerns
    assert course.after == (care.concern_id, school.concern_id)
    assert amended(first.state, **change) == Decision()


def test_a_concern_that_is_known_waits_as_the_amendment_says() -> None:
    case = an_open_case(concerns=[a_concern("childcare", ref="care"), a_concern(after=["care"]), a_concern("debt")])
    care, course, debt = case.concerns

    def waits_after(**said: Any) -> tuple[str, ...]:
        state = amended(case, concerns=[a_concern(**said)], urgency="soon").state
        assert state is not None
        return state.concerns[1].after

    assert waits_after() == (care.concern_id,)
    assert waits_after(after=None) == (care.concern_id,)
    assert waits_after(after=[debt.concern_id]) == (debt.concern_id,)
    assert waits_after(after=[]) == ()
    assert course.after == (care.concern_id,)


def test_an_amendment_that_waits_in_vain_is_refused() -> None:
    case = an_open_case(concerns=[a_concern("childcare", ref="care"), a_concern(after=["care"])])
    care, course = case.concerns

    for said, pointer in (
        (a_concern("debt", after=[new_id()]), "/concerns/0/after/0"),
        (a_concern("debt", after=["care"]), "/concerns/0/after/0"),
        (a_concern("childcare", after=[care.concern_id]), "/concerns/0/after/0"),
        (a_concern("childcare", after=[course.concern_id]), "/concerns/0/after"),
    ):
        decision = amended(case, concerns=[said])
        assert decision.state is None
        assert decision.answer is not None
        assert [error["pointer"] for error in decision.answer["errors"]] == [pointer]


def test_an_amendment_for_nobody_is_refused() -> None:
    decision = amended(an_open_case(), concerns=[a_concern(for_person="p9")])

    assert decision.state is None
    assert decision.answer is not None
    assert decision.answer["errors"][0]["pointer"] == "/concerns/0/for_person"


def test_a_case_is_withdrawn_once_and_then_stays() -> None:
    first = withdraw_case(WithdrawalReason.BY_PERSON, an_open_case(), NOW)
    again = withdraw_case(WithdrawalReason.BY_SENDER, first.state, NOW)
    later = amended(first.state, urgency="soon")

    assert isinstance(first.events[0], CaseWithdrawn)
    assert again == Decision()
    assert later.answer == {"refused": "withdrawn-case", "errors": []}


def test_an_unknown_case_is_refused() -> None:
    assert withdraw_case(WithdrawalReason.BY_PERSON, None, NOW).answer == {"refused": "unknown-case", "errors": []}
    assert amended(None, urgency="soon").answer == {"refused": "unknown-case", "errors": []}


def a_standing(case: IntakeCase, state: str, partner_id: str | None, days: int = 0) -> Standing:
    return Standing(
        referral_id=new_id(),
        partner_id=partner_id,
        state=ReferralState(state),
        concerns=(case.concerns[0].concern_id,),
        since=NOW + timedelta(days=days),
    )


def test_only_newer_progress_counts() -> None:
    case = an_open_case()
    newer = CaseProgressed(case_id=case.id, standings=(a_standing(case, "accepted", "vhs"),))
    older = CaseProgressed(case_id=case.id, standings=(a_standing(case, "offered", "vhs"),))

    known = note_progress(newer, 7, case).state

    assert known is not None
    assert known.standings[0].state == "accepted"
    assert note_progress(older, 6, known) == Decision()
    assert note_progress(newer, 7, known) == Decision()
    assert note_progress(newer, 8, None) == Decision()


def test_a_concern_shows_the_partner_asked_last() -> None:
    case = an_open_case()
    standings = (a_standing(case, "declined", "caritas", days=1), a_standing(case, "offered", "diakonie"))
    known = note_progress(CaseProgressed(case_id=case.id, standings=standings), 1, case).state

    assert shown(case)["concerns"][0]["state"] == "received"
    assert known is not None
    [concern] = shown(known)["concerns"]
    assert (concern["state"], concern["partner_id"]) == ("offered", "diakonie")


@pytest.mark.parametrize("given_way", ["declined", "expired", "handed_on", "released", "withdrawn", "cancelled"])
def test_what_gave_way_is_shown_only_where_nothing_took_its_place(given_way: str) -> None:
    case = an_open_case()
    lapsed = (a_standing(case, given_way, "caritas", days=1), a_standing(case, given_way, "diakonie", days=2))
    live = a_standing(case, "offered", "vhs")

    def shown_partner(*standings: Standing) -> str:
        known = note_progress(CaseProgressed(case_id=case.id, standings=standings), 1, case).state
        assert known is not None
        [concern] = shown(known)["concerns"]
        return str(concern["partner_id"])

    assert shown_partner(live, *lapsed) == "vhs"
    assert shown_partner(*lapsed) == "diakonie"


def test_a_case_shows_how_far_it_is() -> None:
    case = an_open_case()

    def state_after(state: CaseState, case: IntakeCase) -> str:
        known = note_progress(CaseProgressed(case_id=case.id, state=state, standings=()), 1, case).state
        assert known is not None
        return str(shown(known)["state"])

    withdrawn = withdraw_case(WithdrawalReason.BY_PERSON, case, NOW).state
    assert withdrawn is not None
    assert shown(case)["state"] == "open"
    assert [state_after(state, case) for state in CaseState] == ["open", "partly_settled", "settled", "withdrawn"]
    assert {state_after(state, withdrawn) for state in CaseState} == {"withdrawn"}


def test_a_concern_shows_what_answered_it() -> None:
    case = an_open_case()
    standing = a_standing(case, "completed", "vhs").model_copy(
        update={"overdue": True, "outcome": ServiceOutcome.PARTLY_HELPED, "sheet": "what-to-bring"}
    )
    known = note_progress(CaseProgressed(case_id=case.id, standings=(standing,)), 1, case).state

    assert known is not None
    [concern] = shown(known)["concerns"]
    assert (concern["overdue"], concern["outcome"], concern["sheet"]) == (True, "partly_helped", "what-to-bring")


def test_a_note_is_kept_apart_and_no_event() -> None:
    case = an_open_case()
    withdrawn = withdraw_case(WithdrawalReason.BY_PERSON, case, NOW).state
    said = NewNote(text="KANARI")

    for known in (case, withdrawn):
        decision = add_note(said, "n1", "fd-001", known, NOW)

        assert decision.events == ()
        assert decision.answer == {"note_id": "n1", "written_at": NOW}
        assert decision.state is not None
        assert [note["text"] for note in decision.state.new_notes] == ["KANARI"]
        assert "KANARI" not in decision.state.model_dump_json()
    assert add_note(said, "n1", "fd-001", None, NOW).answer == {"refused": "unknown-case", "errors": []}


def test_of_two_that_were_asked_at_the_same_moment_the_later_one_is_shown() -> None:
    case = an_open_case()
    standings = (a_standing(case, "offered", "caritas"), a_standing(case, "offered", "diakonie"))
    known = note_progress(CaseProgressed(case_id=case.id, standings=standings), 1, case).state

    assert known is not None
    assert shown(known)["concerns"][0]["partner_id"] == "diakonie"
