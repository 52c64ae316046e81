"""The settings of routing."""

from pathlib import Path
from typing import Final

from shared.settings import ServiceSettings

AGREEMENTS: Final = Path(__file__).parents[2] / "deploy" / "agreements"


class RoutingSettings(ServiceSettings):
    """`agreements` is the directory of the terms of the agreement, one TOML file each."""

    port: int = 8102
    agreements: Path = AGREEMENTS
