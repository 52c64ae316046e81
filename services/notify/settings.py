"""What notify is told from outside."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr

from shared.settings import ServiceSettings
from shared.web.client_credentials import Credentials

PLACES: Final = Path(__file__).parents[2] / "deploy" / "places.toml"


class NotifySettings(ServiceSettings):
    """`mail_from` is the mailbox people answer to; `count` as transport sends nothing and is for measuring only.

    `sending_seconds` is how long a message may stay in `sending` before it counts as lost from sight.
    """

    port: int = 8104
    intake_url: str
    oidc_client_id: str
    oidc_client_secret: SecretStr
    mail_from: str
    mail_transport: Literal["smtp", "count"] = "smtp"
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 25
    sending_seconds: Annotated[int, Field(ge=10, le=3600)] = 180
    places_file: Path = PLACES

    @property
    def credentials(self) -> Credentials:
        """Who we are to the issuer, at intake's door."""
        return Credentials(self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret.get_secret_value())
