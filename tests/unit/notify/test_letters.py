"""What is written to people: in a language they read, in their own time, and never what they come for."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from notify_builders import a_person, an_appointment, pending, the_message

from services.notify.letters import TEMPLATES, Letters, Mail, load_places
from services.notify.settings import PLACES
from shared.contracts.codes import AppointmentMode, Concern

LETTERS = Letters(load_places(PLACES))
LANGUAGES = sorted(LETTERS.languages)
TO = "oezlem@example.org"

GIVEAWAYS = (
    *(concern.value for concern in Concern),
    *("schuld", "debt", "борг", "ديون", "دين", "geld", "money", "гроші", "مال"),
    *(
        "kurs",
        "course",
        "курс",
        "دورة",
        "schule",
        "school",
        "школ",
        "مدرسة",
        "ausbildung",
        "training",
        "освіт",
        "تدريب",
    ),
    *("arbeit", "job", "робот", "عمل", "wohnung", "housing", "житл", "سكن", "kinder", "child", "дитин", "أطفال"),
    *("antrag", "application", "заяв", "طلب", "beratung", "counsel", "консультац", "استشار", "awo", "caritas", "vhs"),
    *("diakonie", "wohlfahrt", "volkshochschule", "ausländerbehörde", "asyl", "asylum"),
)


def the_mail(*, languages: tuple[str, ...] = (), case_languages: tuple[str, ...] = (), **facts: Any) -> Mail:
    """The mail to a person with these languages about an appointment."""
    message = the_message(pending(languages=case_languages, **facts))
    return LETTERS.compose(message, a_person(languages=languages), TO)


def test_there_are_letters_in_four_languages_at_least() -> None:
    assert LETTERS.languages >= {"de", "en", "uk", "ar"}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mode", AppointmentMode)
def test_a_letter_says_who_when_and_how_and_never_what_for(language: str, mode: AppointmentMode) -> None:
    mail = the_mail(languages=(language,), mode=mode)

    assert mail.language == language
    assert "Özlem Işık" in mail.text
    assert "14:30" in mail.subject
    assert "14:30" in mail.text
    assert ("Am Kreishaus 1-5" in mail.text) == (mode is AppointmentMode.ON_SITE)
    written = f"{mail.subject}\n{mail.text}".lower()
    assert [word for word in GIVEAWAYS if word in written] == []
    assert "{" not in written


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_subject_is_one_line_without_a_name(language: str) -> None:
    mail = the_mail(languages=(language,))

    assert "\n" not in mail.subject
    assert "Işık" not in mail.subject


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("de", "Dienstag, 24. November 2026, 14:30 Uhr"),
        ("en", "Tuesday, 24 November 2026, 14:30"),
        ("uk", "вівторок, 24 листопада 2026 року, 14:30"),
        ("ar", "الثلاثاء، 24 تشرين الثاني/نوفمبر 2026، الساعة 14:30"),
    ],
)
def test_the_date_is_written_out(language: str, written: str) -> None:
    assert written in the_mail(languages=(language,)).text


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        pytest.param(datetime(2026, 3, 27, 8, tzinfo=UTC), "Freitag, 27. März 2026, 09:00 Uhr", id="winter"),
        pytest.param(datetime(2026, 3, 30, 7, tzinfo=UTC), "Montag, 30. März 2026, 09:00 Uhr", id="summer"),
    ],
)
def test_times_are_the_district_s(moment: datetime, written: str) -> None:
    assert written in the_mail(languages=("de",), starts_at=moment).text


@pytest.mark.parametrize(
    ("person", "case", "language"),
    [
        pytest.param(("uk", "de"), (), "uk", id="the first of the person's"),
        pytest.param(("ku", "ar", "de"), (), "ar", id="the first we have"),
        pytest.param((), ("ti", "ar"), "ar", id="the case's where the person told none"),
        pytest.param(("ti",), ("so",), "en", id="English for everybody else"),
    ],
)
def test_the_language_is_the_first_that_is_read(person: tuple[str, ...], case: tuple[str, ...], language: str) -> None:
    assert the_mail(languages=person, case_languages=case).language == language


def test_german_is_the_last_resort(tmp_path: Path) -> None:
    (tmp_path / "de").symlink_to(TEMPLATES / "de")

    mail = Letters(load_places(PLACES), templates=tmp_path).compose(
        the_message(pending()), a_person(languages=("ti",)), TO
    )

    assert mail.language == "de"


def test_somebody_without_a_recorded_name_is_greeted_all_the_same() -> None:
    person = a_person(given_name="", family_name="", languages=("de",))

    assert "Guten Tag,\n" in LETTERS.compose(the_message(pending()), person, TO).text


def test_a_name_is_text_and_no_template() -> None:
    person = a_person(given_name="{{ address }}", languages=("de",))

    assert "Guten Tag {{ address }} Işık," in LETTERS.compose(the_message(pending()), person, TO).text


def test_a_place_without_an_address_is_no_letter() -> None:
    with pytest.raises(KeyError):
        LETTERS.compose(the_message(pending(place="nowhere")), a_person(), TO)


def test_the_message_knows_nothing_of_partner_and_concern() -> None:
    assert "schuldnerberatung" not in pending().model_dump_json()
    assert an_appointment().partner_id == "schuldnerberatung"
