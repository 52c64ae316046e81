"""The settings of routing."""

from shared.settings import ServiceSettings


class RoutingSettings(ServiceSettings):
    """What every service is told; the agreements lie in its own database."""

    port: int = 8102
