"""The places and information sheets of `deploy/`, which an agreement names. Services do not look there."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, HttpUrl

from services.routing.domain.agreement import Agreement
from services.routing.domain.agreement_check import Finding, Severity
from shared.contracts.base import PlaceId, SheetId
from shared.files import read_toml
from wegweiser.settings import PLACES, SHEETS


class Sheet(BaseModel):
    """What a sheet is called, and where it is to be had."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Annotated[str, Field(min_length=1)]
    url: HttpUrl


def unlisted(agreement: Agreement) -> Iterator[Finding]:
    """Errors: places without an address and sheets that nobody could find; raises `InvalidFileError`."""
    places, sheets = read_toml(PLACES, dict[PlaceId, str]), read_toml(SHEETS, dict[SheetId, Sheet])
    for partner in agreement.partners:
        for place in partner.places:
            if place not in places:
                yield Finding(Severity.ERROR, f"partners: {partner.id}: places", f"not in {PLACES.name}: {place}")
    for rule in agreement.rules:
        if rule.sheet is not None and rule.sheet not in sheets:
            yield Finding(Severity.ERROR, f"rules: {rule.id}: sheet", f"not in {SHEETS.name}: {rule.sheet}")
