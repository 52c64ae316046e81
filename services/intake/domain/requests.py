"""What a sender may say, field by field: bounded, coded where it can be, and nothing besides."""

from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from services.intake.domain.ages import BirthPrecision
from shared.contracts.base import Language, PartnerId, ReferralId
from shared.contracts.codes import (
    Concern,
    LegalBasisKind,
    Municipality,
    Need,
    SubTopic,
    TargetGroup,
    Urgency,
    WithdrawalReason,
)

ASYLUM: Final = "asylum"
NOT_DENOMINATIONAL: Final = "not_denominational"
_CONCERNS: Final = (*(concern.value for concern in Concern), ASYLUM)
_WISHES: Final = (*(need.value for need in Need), NOT_DENOMINATIONAL)


def _known(codes: tuple[str, ...], value: str) -> str:
    if value not in codes:
        raise PydanticCustomError("code", "Input should be one of {codes}", {"codes": ", ".join(codes)})
    return value


def _all_as_none(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("all_or_list", 'Input should be "all" or a list')
    return None if value == "all" else value


T = TypeVar("T")


def _each_once(value: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(value)) < len(value):
        raise PydanticCustomError("repeated", "Input should name each of its members once")
    return value


Several = Annotated[tuple[T, ...], Field(fail_fast=True)]
"""A list that is given up at its first wrong member: to name thousands of them would keep everybody else waiting."""
EachOnce = Annotated[
    Several[T], Field(max_length=50, json_schema_extra={"uniqueItems": True}), AfterValidator(_each_once)
]
ConcernCode = Annotated[
    str, AfterValidator(partial(_known, _CONCERNS)), WithJsonSchema({"type": "string", "enum": list(_CONCERNS)})
]
WishCode = Annotated[
    str, AfterValidator(partial(_known, _WISHES)), WithJsonSchema({"type": "string", "enum": list(_WISHES)})
]
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Text = Annotated[str, StringConstraints(max_length=20_000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
Reference = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,100}$")]
PersonRef = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,20}$")]
ConcernRef = PersonRef
ConcernRefOrId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,36}$")]
Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,60}$")]
BirthDate = Annotated[date, Field(ge=date(1880, 1, 1))]
BirthYear = Annotated[int, Field(ge=1880, le=9999)]
_LISTED: Final = Field(strict=False, max_length=50)  # what a validator has looked at before counts as no JSON any more
_ALL_OR_LISTED: Final = (
    BeforeValidator(_all_as_none),
    WithJsonSchema({"anyOf": [{"const": "all"}, {"type": "array", "items": {"type": "string"}, "maxItems": 50}]}),
)


class Said(BaseModel):
    """A part of a request. Strict: nothing is guessed; an unknown field is a mistake its sender wants to know of."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Referrer(Said):
    """Who sends the person: an organisation and one of its staff."""

    organisation: Line
    staff_id: Reference


class SaidPerson(Said):
    """One member of the household. `ref` names the person inside this request only."""

    ref: PersonRef
    relation: Literal["self", "spouse", "child", "grandchild", "parent", "sibling", "other"]
    given_name: Line | None = None
    family_name: Line | None = None
    given_name_native: Line | None = None
    family_name_native: Line | None = None
    native_script: Annotated[str, StringConstraints(pattern=r"^[A-Z][a-z]{3}$")] | None = None  # ISO 15924
    gender: Literal["female", "male", "diverse", "unknown"] | None = None
    birth_date: BirthDate | None = None
    birth_year: BirthYear | None = None
    birth_precision: BirthPrecision = "day"
    nationality: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,3}$")] | None = None  # ISO 3166-1
    target_groups: EachOnce[TargetGroup] = ()


class Address(Said):
    """Where the household lives, as written on a letter."""

    street: Line | None = None
    postcode: Annotated[str, StringConstraints(pattern=r"^[0-9]{5}$")] | None = None
    town: Line | None = None


class Contact(Said):
    """How the household may be reached."""

    phone: Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 ()/.-]{2,38}$")] | None = None
    email: (
        Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f<>,;]+@[^@\s\x00-\x1f<>,;]+$")] | None
    ) = None
    may_contact_by: Several[Literal["sms", "email", "letter", "phone"]] = ()


class Languages(Said):
    """What the household speaks and reads. `reads` is the language of letters; null where nobody reads."""

    first: Language | None = None
    variety: Line | None = None
    also: Annotated[Several[Language], Field(max_length=6)] = ()
    reads: Language | None = None
    german_level: Literal["none", "A1", "A2", "B1", "B2", "C1", "C2"] | None = None

    @property
    def in_order(self) -> tuple[Language, ...]:
        """As a message should try them: what is read, what is spoken first, what else is understood."""
        known = (self.reads, self.first, *self.also)
        return tuple(dict.fromkeys(language for language in known if language is not None))


class SaidConcern(Said):
    """One thing one person needs. `ref` names it inside this request only.

    `after` names what has to be settled before: concerns of the request by their ref and, in an amendment, those that
    the case has by their id. In an amendment null leaves a known concern waiting as before.
    """

    code: ConcernCode
    for_person: PersonRef
    sub_topic: SubTopic | None = None
    ref: ConcernRef | None = None
    after: EachOnce[ConcernRefOrId] | None = None
    note: Text | None = None


class SaidLegalBasis(Said):
    """On what ground the case may be passed on. `covers_…`: null stands for "all"."""

    kind: LegalBasisKind = LegalBasisKind.NONE
    covers_partners: Annotated[Annotated[Several[PartnerId], _LISTED] | None, *_ALL_OR_LISTED] = None
    covers_concerns: Annotated[Annotated[Several[ConcernCode], _LISTED] | None, *_ALL_OR_LISTED] = None
    text_version: Label | None = None
    text_language: Language | None = None
    given_on: date | None = None
    expires_on: date | None = None
    withdrawn_on: date | None = None
    form: Label | None = None
    field_groups: Several[Literal["identity", "contact", "languages", "household", "notes"]] = ()


MOST_CONCERNS: Final = 50
"""As many as an event of a case may hold."""
Concerns = Annotated[Several[SaidConcern], Field(min_length=1, max_length=MOST_CONCERNS)]


class NewCase(Said):
    """A person or household with one or more concerns, as referred or walked in."""

    source_reference: Reference | None = None
    channel: Literal["referral", "walk_in", "import"] = "referral"
    received_at: Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC))] | None = None
    municipality: Municipality
    referrer: Referrer | None = None
    persons: Annotated[Several[SaidPerson], Field(min_length=1, max_length=30)]
    address: Address | None = None
    contact: Contact | None = None
    languages: Languages = Languages()
    concerns: Concerns
    legal_basis: SaidLegalBasis = SaidLegalBasis()
    wishes: Several[WishCode] = ()
    preferred_partners: EachOnce[PartnerId] = ()
    excluded_partners: EachOnce[PartnerId] = ()
    urgency: Urgency = Urgency.NORMAL
    respond_by: date | None = None
    free_text: Text | None = None


class Amendment(Said):
    """What changed: absent or null means as before; `concerns` are added to those the case has; a note to one
    that it has already takes the place of the earlier note."""

    municipality: Municipality | None = None
    languages: Languages | None = None
    urgency: Urgency | None = None
    contact: Contact | None = None
    concerns: Concerns | None = None
    legal_basis: SaidLegalBasis | None = None
    preferred_partners: EachOnce[PartnerId] | None = None
    excluded_partners: EachOnce[PartnerId] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if all(value is None for value in self.__dict__.values()):
            raise PydanticCustomError("empty", "Input should name at least one change")
        return self


class Withdrawal(Said):
    """Who takes the case back."""

    reason: WithdrawalReason


class NewNote(Said):
    """What one of the staff, who signed in, writes down about a case, or about one of its referrals."""

    text: Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1)]
    referral_id: ReferralId | None = None
