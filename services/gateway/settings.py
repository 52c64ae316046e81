"""What the gateway is told from outside."""

from pathlib import Path

from pydantic import SecretStr

from shared.settings import BareSettings


class GatewaySettings(BareSettings):
    """`partners_folder` holds a file `<id>.env` for each partner, as whom the gateway acts for it on Kafka.
    `cursor_key` is what cursors are signed with: another one makes all of them invalid. Webhooks' secrets
    follow from `webhook_key`: another one changes all of them. `webhook_hosts` may be anywhere and need no https."""

    port: int = 8105
    partners_folder: Path
    cursor_key: SecretStr
    webhook_key: SecretStr
    webhook_hosts: frozenset[str] = frozenset()
