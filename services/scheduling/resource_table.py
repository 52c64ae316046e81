"""Reads the resource table: a TOML file of `[[resources]]`, in the words of `domain/resources.py`."""

import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.scheduling.domain.resources import Resource


class InvalidResourcesError(Exception):
    """The resource table cannot be used; names the file and the key in it."""

    def __init__(self, file: str, key: str, problem: str) -> None:
        super().__init__(f"{file}: {key}: {problem}" if key else f"{file}: {problem}")
        self.file = file
        self.key = key


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
    """The rows of the table; raises `InvalidResourcesError`."""
    try:
        return _Table.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))).resources
    except OSError as error:
        raise InvalidResourcesError(str(file), "", f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidResourcesError(file.name, "", f"is not TOML: {error}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        raise InvalidResourcesError(file.name, key.removeprefix("."), message) from None
