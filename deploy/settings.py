"""Where the platform's Kafka and MongoDB come from; read from the environment, frozen afterwards."""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class BackendSettings(BaseSettings):
    """`embedded` starts both on this machine, `containers` asks an engine, `external` uses what runs elsewhere."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    backend: Literal["embedded", "containers", "external"] = "embedded"

    var_dir: Path = Path("var")
    jar_cache: Path = Path("var/cache/jars")
    kafka_port: int = 29092
    kafka_controller_port: int = 29093
    mongo_port: int = 27117
    mongo_cache_gb: float = 1.0

    kafka_image: str = "apache/kafka:4.1.0"
    mongo_image: str = "mongo:6.0"

    kafka_bootstrap: str | None = None
    mongo_url: str | None = None

    @model_validator(mode="after")
    def _external_is_addressed(self) -> Self:
        if self.backend == "external" and not (self.kafka_bootstrap and self.mongo_url):
            raise ValueError("BACKEND=external needs KAFKA_BOOTSTRAP and MONGO_URL")
        return self

    @property
    def secrets_folder(self) -> Path:
        """Where what is secret lies."""
        return self.var_dir.absolute() / "secrets"
