"""Where `make run` puts things: ports of this machine, the folder for data, and the samples it pushes through."""

from pathlib import Path
from typing import Final

from deploy.settings import BackendSettings
from shared.topics import SERVICES

_ROOT: Final = Path(__file__).parents[1]
AGREEMENTS: Final = _ROOT / "deploy" / "agreements"
SAMPLE_CASES: Final = _ROOT / "examples" / "intake" / "cases.ndjson"
SAMPLE_EXPECTATIONS: Final = _ROOT / "examples" / "intake" / "expected.json"
SAMPLE_PARTNER: Final = _ROOT / "examples" / "partners" / "python" / "consumer.py"


class PlatformSettings(BackendSettings):
    """Everything listens on 127.0.0.1."""

    smtp_port: int = 8125
    intake_port: int = 8101
    routing_port: int = 8102
    scheduling_port: int = 8103
    notify_port: int = 8104
    mail_from: str = "integrationsbuero@example.org"

    def port_of(self, service: str) -> int:
        """The port of one of the services."""
        port: int = getattr(self, f"{service}_port")
        return port

    def url_of(self, service: str) -> str:
        """The address of one of the services."""
        return f"http://127.0.0.1:{self.port_of(service)}"

    @property
    def mail_folder(self) -> Path:
        """Where the mail sink keeps what was sent."""
        return self.var_dir / "mail"

    @property
    def urls(self) -> dict[str, str]:
        """All addresses by their names in the environment: `INTAKE_URL` and so on."""
        return {f"{service.upper()}_URL": self.url_of(service) for service in SERVICES}
