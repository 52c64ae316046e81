"""Settings every service has; a service's own class extends this one. Read from the environment, frozen afterwards."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.kafka_access import KafkaAccess


class ServiceSettings(KafkaAccess, BaseSettings):
    """Where the backends are and where this service listens. Durations in seconds."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    mongo_url: str
    host: str = "127.0.0.1"
    port: int
    log_format: Literal["json", "console", "auto"] = "auto"
    service_token_file: Path = Path("var/service-token")
    batch_records: int = 500


def lacking_in(error: ValidationError) -> str:
    """The names of the settings that an error is about, and what it says where it names none."""
    return ", ".join(
        str(problem["loc"][0]).upper() if problem["loc"] else problem["msg"].removeprefix("Value error, ")
        for problem in error.errors()
    )
