"""Reads the resource table: a TOML file of `[[resources]]`, in the words of `domain/resources.py`."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.scheduling.domain.resources import Resource
from shared.files import read_toml


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    resources: Annotated[tuple[Resource, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _without_namesakes(self) -> Self:
        ids = [resource.id for resource in self.resources]
        if repeated := {id_ for id_ in ids if ids.count(id_) > 1}:
            raise ValueError(f"id: used twice: {', '.join(sorted(repeated))}")
        return self


def load_resources(file: Path) -> tuple[Resource, ...]:
    """The rows of the table; raises `InvalidFileError`."""
    return read_toml(file, _Table).resources
