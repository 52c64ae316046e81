"""Tables that people write: TOML files, read into models, with errors that name the file and the key."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


class InvalidFileError(Exception):
    """A file cannot be used. `key` is where in it, as one finds it there: `rules[2].fields[0]`, counted from 0."""

    def __init__(self, file: str, key: str, problem: str) -> None:
        super().__init__(f"{file}: {key}: {problem}" if key else f"{file}: {problem}")
        self.file = file
        self.key = key


def read_toml(file: Path, model: type[T]) -> T:
    """The file as a `model`; raises `InvalidFileError`."""
    try:
        return TypeAdapter(model).validate_python(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidFileError(str(file), "", f"cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidFileError(file.name, "", f"is not TOML: {error}") from None
    except ValidationError as error:
        raise _first_problem(file.name, error.errors()[0]) from None


def _first_problem(file: str, problem: Mapping[str, Any]) -> InvalidFileError:
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in problem["loc"])
    return InvalidFileError(file, key.removeprefix("."), problem["msg"].removeprefix("Value error, "))
