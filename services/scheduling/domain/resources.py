"""Who can be booked, where and when: one row of the resource table."""

from collections.abc import Mapping
from datetime import time
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.contracts.base import Minutes, PartnerId, PlaceId
from shared.contracts.codes import AppointmentMode

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: Final[tuple[Weekday, ...]] = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)

_AFTER_CLOCK_CHANGES: Final = time(4)
"""Clocks change between two and three at night; a local time from four on is never skipped and never comes twice."""


class Window(BaseModel):
    """A stretch of consultation time on one day, local time; written `09:00-12:00` in the table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opens: Annotated[time, Field(ge=_AFTER_CLOCK_CHANGES)]
    closes: time

    @model_validator(mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        opens, _, closes = value.partition("-")
        return {"opens": opens, "closes": closes}

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.opens >= self.closes:
            raise ValueError("closes before it opens")
        return self


class Resource(BaseModel):
    """A counsellor or a course that can be booked: `seats` people at once, `minutes` each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,60}$")]
    partner: PartnerId
    place: PlaceId
    mode: AppointmentMode
    minutes: Minutes
    seats: Annotated[int, Field(ge=1, le=1000)] = 1
    hours: Mapping[Weekday, tuple[Window, ...]]

    @model_validator(mode="after")
    def _without_overlap(self) -> Self:
        for weekday, windows in self.hours.items():
            if any(later.opens < earlier.closes for earlier, later in pairwise(windows)):
                raise ValueError(f"{weekday}: windows overlap or are not in order")
        return self
