"""What notify is told from outside."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from shared.settings import ServiceSettings

PLACES: Final = Path(__file__).parents[2] / "deploy" / "places.toml"


class NotifySettings(ServiceSettings):
    """`mail_from` is the mailbox people answer to; `count` as transport sends nothing and is for measuring only.

    `sending_seconds` is how long a message may stay in `sending` before it counts as lost from sight.
    """

    port: int = 8104
    intake_url: str
    mail_from: str
    mail_transport: Literal["smtp", "count"] = "smtp"
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 25
    sending_seconds: Annotated[int, Field(ge=10, le=3600)] = 180
    places_file: Path = PLACES
