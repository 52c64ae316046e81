"""What scheduling is told from outside."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from shared.settings import ServiceSettings

RESOURCES: Final = Path(__file__).parents[2] / "deploy" / "resources.toml"


class SchedulingSettings(ServiceSettings):
    """`lead_days` are the working days between a booking and its appointment, `horizon_days` the calendar days after
    the first bookable one."""

    port: int = 8103
    resources_file: Path = RESOURCES
    lead_days: Annotated[int, Field(ge=1, le=30)] = 1
    horizon_days: Annotated[int, Field(ge=1, le=3650)] = 60
