"""Settings every service has; a service's own class extends this one. Read from the environment, frozen afterwards."""

from typing import Annotated, Literal

from pydantic import AfterValidator, PositiveInt, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.kafka_access import KafkaAccess
from shared.web.issuer_keys import require_trustworthy


class BareSettings(BaseSettings):
    """Where the store is, where this service listens, and whose tokens count at its door: those that `oidc_issuer` made
    out for `oidc_audience`, with the roles in `oidc_roles_claim`. Durations in seconds."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    mongo_url: str
    host: str = "127.0.0.1"
    port: int
    log_format: Literal["json", "console", "auto"] = "auto"
    oidc_issuer: Annotated[str, AfterValidator(require_trustworthy)]
    oidc_audience: str
    oidc_roles_claim: str = "roles"


class ServiceSettings(KafkaAccess, BareSettings):
    """The same for a service with a pipeline, and where its Kafka is."""

    model_config = BareSettings.model_config
    batch_records: int = 500
    partner_records_per_second: PositiveInt = 100
    """So many are taken of a topic that a partner writes on, by each instance; what is more waits."""


def lacking_in(error: ValidationError) -> str:
    """The names of the settings that an error is about, and what it says where it names none."""
    return ", ".join(
        str(problem["loc"][0]).upper() if problem["loc"] else problem["msg"].removeprefix("Value error, ")
        for problem in error.errors()
    )
