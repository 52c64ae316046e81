"""The resource table as a file: what is delivered, and what a mistake in it looks like."""

import tomllib
from pathlib import Path

import pytest

from services.scheduling.resource_table import load_resources
from services.scheduling.settings import RESOURCES
from shared.files import InvalidFileError

ROW = """
[[resources]]
id = "awo-1"
partner = "awo"
place = "integrationsbuero"
mode = "on_site"
minutes = 60
hours = { monday = ["09:00-12:00"] }
"""


def test_every_partner_of_the_agreements_can_be_booked() -> None:
    agreements = (RESOURCES.parent / "agreements").glob("*.toml")
    partners = {partner["id"] for file in agreements for partner in tomllib.loads(file.read_text())["partners"]}

    assert {resource.partner for resource in load_resources(RESOURCES)} == partners


def test_every_place_has_an_address() -> None:
    addresses = tomllib.loads((RESOURCES.parent / "places.toml").read_text())

    assert {resource.place for resource in load_resources(RESOURCES)} <= addresses.keys()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param(ROW + ROW, "used twice: awo-1", id="namesakes"),
        pytest.param(ROW.replace("60", "0"), "resources[0].minutes", id="no length"),
        pytest.param(ROW.replace("monday", "moonday"), "resources[0].hours.moonday", id="no such day"),
        pytest.param(ROW.replace("12:00", "08:00"), "closes before it opens", id="closes too early"),
        pytest.param(ROW.replace("mode", "mood"), "resources[0].mode", id="missing field"),
        pytest.param("[[resources]", "is not TOML", id="not TOML"),
        pytest.param("", "resources", id="empty"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "resources.toml"
    file.write_text(text)

    with pytest.raises(InvalidFileError, match=r"resources\.toml: ") as refusal:
        load_resources(file)

    assert named in str(refusal.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFileError, match="cannot be read"):
        load_resources(tmp_path / "nowhere.toml")
