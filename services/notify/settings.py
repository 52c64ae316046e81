"""What notify is told from outside."""

from pathlib import Path
from typing import Final, Literal

from shared.settings import ServiceSettings

PLACES: Final = Path(__file__).parents[2] / "deploy" / "places.toml"


class NotifySettings(ServiceSettings):
    """`mail_from` is the mailbox people answer to; `count` as transport sends nothing and is for measuring only."""

    port: int = 8104
    intake_url: str
    mail_from: str
    mail_transport: Literal["smtp", "count"] = "smtp"
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 25
    places_file: Path = PLACES
