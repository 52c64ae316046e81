"""Settings every service has; a service's own class extends this one. Read from the environment, frozen afterwards."""

from typing import Annotated, Literal

from pydantic import AfterValidator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.web.issuer_keys import require_trustworthy


class ServiceSettings(BaseSettings):
    """Where the backends are, where this service listens, and whose tokens count at its door: those that `oidc_issuer`
    made out for `oidc_audience`, with the roles in `oidc_roles_claim`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    kafka_bootstrap: str
    mongo_url: str
    host: str = "127.0.0.1"
    port: int
    log_format: Literal["json", "console", "auto"] = "auto"
    oidc_issuer: Annotated[str, AfterValidator(require_trustworthy)]
    oidc_audience: str
    oidc_roles_claim: str = "roles"
    batch_records: int = 500
