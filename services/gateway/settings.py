"""What the gateway is told from outside."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from services.gateway.webhooks.addresses import Place, place_of
from shared.settings import BareSettings

Key = Annotated[SecretStr, Field(min_length=16)]


class GatewaySettings(BareSettings):
    """`partners_folder` holds a file `<id>.env` for each partner, as whom the gateway acts for it on Kafka.
    `cursor_key` is what cursors are signed with: another one makes all of them invalid. Webhooks' secrets
    follow from `webhook_key`: another one changes all of them. `webhook_hosts` are, by partner, the places `host:port`
    where its receiver may be although they are not on the open internet, and without https."""

    port: int = 8105
    partners_folder: Path
    cursor_key: Key
    webhook_key: Key
    webhook_hosts: Mapping[str, frozenset[Annotated[Place, BeforeValidator(place_of)]]] = {}
