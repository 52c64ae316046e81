"""The terms of the agreement as TOML files; docs/agreement.md explains every key."""

from pathlib import Path

from services.routing.domain.agreement import Agreement, Agreements
from shared.files import InvalidFileError, read_toml


def load_agreement(file: Path) -> Agreement:
    """One term, whatever its file is called; raises `InvalidFileError`. Whether it makes sense, `check` says."""
    return read_toml(file, Agreement)


def load_agreements(directory: Path) -> Agreements:
    """Every `*.toml` of the directory, each named after its version, in order; raises `InvalidFileError`."""
    terms = [_named_after_its_version(file) for file in sorted(directory.glob("*.toml"))]
    if not terms:
        raise InvalidFileError(str(directory), "", "holds no agreement (*.toml)")
    return Agreements(tuple(terms))


def _named_after_its_version(file: Path) -> Agreement:
    agreement = load_agreement(file)
    if agreement.version != file.stem:
        raise InvalidFileError(file.name, "version", "differs from the name of the file")
    return agreement
