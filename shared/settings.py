"""Settings every service has; a service's own class extends this one. Read from the environment, frozen afterwards."""

from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Where the backends are and where this service listens. Durations in seconds."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    kafka_bootstrap: str
    mongo_url: str
    host: str = "127.0.0.1"
    port: int
    log_format: Literal["json", "console", "auto"] = "auto"
    service_token_file: Path = Path("var/service-token")
    batch_records: int = 500
