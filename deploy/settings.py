"""Where the platform's Kafka and MongoDB come from; read from the environment, frozen afterwards."""

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.kafka_access import KafkaAccess, Protocol
from shared.settings import lacking_in

ADMIN: Final = "admin"
"""The user of Kafka and of MongoDB that may do everything; only provisioning and tests are it."""


class External(KafkaAccess, BaseSettings):
    """Kafka and MongoDB that run elsewhere."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    mongo_url: str


class BackendSettings(BaseSettings):
    """`embedded` starts both on this machine, `containers` asks an engine, `external` uses what runs elsewhere.

    `PLAINTEXT` opens the embedded Kafka to everybody on this machine; it is there to measure what encryption costs.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    backend: Literal["embedded", "containers", "external"] = "embedded"

    var_dir: Path = Path("var")
    jar_cache: Path = Path("var/cache/jars")
    kafka_port: int = 29092
    kafka_controller_port: int = 29093
    kafka_security_protocol: Protocol = "SASL_SSL"
    mongo_port: int = 27117
    mongo_cache_gb: float = 1.0

    kafka_image: str = "apache/kafka:4.1.0"
    mongo_image: str = "mongo:6.0"

    @model_validator(mode="after")
    def _external_is_addressed(self) -> Self:
        if self.backend == "external":
            try:
                External()
            except ValidationError as error:
                raise ValueError(f"BACKEND=external needs {lacking_in(error)}") from None
        return self

    @property
    def secrets_folder(self) -> Path:
        """Where what is secret lies."""
        return self.var_dir.absolute() / "secrets"
