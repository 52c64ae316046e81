"""Writes the mail: a template of a language the person reads, filled from codes and what intake told.

A language is a folder in `templates/`: `words.toml` says how a date is written out, and each `<purpose>.txt` holds the
subject on its first line and the text after it. None of them may name a concern or a partner: others may read it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field

from services.notify.domain import Message
from services.notify.persons import Person
from shared.contracts.base import Language, MessageId, PlaceId
from shared.days import LOCAL
from shared.files import read_toml

TEMPLATES: Final = Path(__file__).parent / "templates"
FALL_BACK: Final[tuple[Language, ...]] = ("en", "de")
"""For whoever reads none of our languages: English, then German, which is kept plain for that."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as it goes out."""

    message_id: MessageId
    to: str
    subject: str
    text: str
    language: Language


class Words(BaseModel):
    """How a language writes a moment out; `moment` is a format of weekday, day, month, year, hour and minute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weekdays: Annotated[tuple[str, ...], Field(min_length=7, max_length=7)]
    months: Annotated[tuple[str, ...], Field(min_length=12, max_length=12)]
    moment: str

    def written_out(self, moment: datetime) -> str:
        """The local date and time in words."""
        local = moment.astimezone(LOCAL)
        return self.moment.format(
            weekday=self.weekdays[local.weekday()],
            day=local.day,
            month=self.months[local.month - 1],
            year=local.year,
            hour=local.hour,
            minute=local.minute,
        )


class Letters:
    """Composes mails; `places` are postal addresses by place id."""

    def __init__(self, places: Mapping[PlaceId, str], *, templates: Path = TEMPLATES) -> None:
        self._places = places
        self._words = {file.parent.name: read_toml(file, Words) for file in templates.glob("*/words.toml")}
        self._templates = Environment(
            loader=FileSystemLoader(templates),
            autoescape=False,  # noqa: S701 - plain text
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @property
    def languages(self) -> frozenset[Language]:
        """The languages there is a folder for."""
        return frozenset(self._words)

    def compose(self, message: Message, person: Person, to: str) -> Mail:
        """The mail to `to`, in the first language of person, then case, then fall-back that we have.

        Raises `KeyError` where the place of the appointment has no address.
        """
        language = self._language((*person.languages, *message.languages, *FALL_BACK))
        template = self._templates.get_template(f"{language}/{message.purpose}.txt")
        written = template.render(
            name=f"{person.given_name} {person.family_name}".strip(),
            when=self._words[language].written_out(message.starts_at),
            minutes=message.minutes,
            mode=message.mode.value,
            address=self._places[message.place],
        )
        subject, _, text = written.partition("\n")
        return Mail(message_id=message.id, to=to, subject=subject, text=text.lstrip("\n"), language=language)

    def _language(self, preferred: Iterable[Language]) -> Language:
        return next(language for language in preferred if language in self._words)


def load_places(file: Path) -> Mapping[PlaceId, str]:
    """The postal address of each place; raises `InvalidFileError`."""
    return read_toml(file, dict[PlaceId, str])
