"""The whole platform, real, on free ports, and how a test reaches it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from deploy.embedded.issuer import COMMAND_LINE
from deploy.embedded.ports import free_ports
from shared.kafka_access import KafkaAccess
from shared.topics import DOORS
from shared.web.client_credentials import ClientCredentials
from shared.web.roles import Role
from wegweiser.platform import Platform
from wegweiser.settings import PlatformSettings

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Running:
    """A running platform and how to reach it."""

    platform: Platform
    settings: PlatformSettings
    intake: httpx.AsyncClient
    staff: httpx.Auth
    """Somebody of the front desk, who has the rights of the district's systems as well."""

    @property
    def kafka(self) -> KafkaAccess:
        return self.platform.backends.kafka

    @property
    def logs(self) -> list[Path]:
        return sorted((self.settings.var_dir / "log").glob("*.log"))

    @property
    def mails(self) -> list[Path]:
        return sorted(self.settings.mail_folder.glob("*.eml"))


@asynccontextmanager
async def a_platform(folder: Path) -> AsyncIterator[Running]:
    """A platform that keeps everything in `folder`, on free ports."""
    names = ("kafka", "kafka_controller", "mongo", "smtp", "issuer", *DOORS)
    ports = {f"{name}_port": port for name, port in zip(names, free_ports(len(names)), strict=True)}
    settings = PlatformSettings(
        var_dir=folder,
        jar_cache=ROOT / "var" / "cache" / "jars",
        mongo_cache_gb=0.25,
        **ports,
    )
    platform = Platform(settings, print)
    platform.claim()
    try:
        await platform.start()
        await platform.start_partners()
        operator = platform.issuer.credentials(COMMAND_LINE)
        staff = ClientCredentials(operator, scope=f"{Role.FRONT_DESK} {Role.SERVICE}")
        async with httpx.AsyncClient(base_url=settings.url_of("intake"), auth=staff, timeout=30) as intake:
            yield Running(platform, settings, intake, staff)
    finally:
        await platform.stop()
