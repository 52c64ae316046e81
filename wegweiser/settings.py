"""Where `make run` puts things: ports of this machine, the folder for data, and the samples it pushes through."""

from pathlib import Path
from typing import Final, Self

from pydantic import PositiveInt, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from deploy.errors import DeployError
from deploy.quotas import Quota
from deploy.settings import BackendSettings
from shared.settings import lacking_in
from shared.topics import DOORS

_ROOT: Final = Path(__file__).parents[1]
AGREEMENTS: Final = _ROOT / "deploy" / "agreements"
PLACES: Final = _ROOT / "deploy" / "places.toml"
SHEETS: Final = _ROOT / "deploy" / "sheets.toml"
SERVICE_FILES: Final = "services"
"""The folder with a file of settings for each service."""
SAMPLE_CASES: Final = _ROOT / "examples" / "intake" / "cases.ndjson"
SAMPLE_EXPECTATIONS: Final = _ROOT / "examples" / "intake" / "expected.json"
SAMPLE_PARTNER: Final = _ROOT / "examples" / "partners" / "python" / "consumer.py"


class WrongSettingsError(DeployError):
    """The environment says something that cannot be."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the settings in the environment are wrong: {why}")


class PlatformSettings(BackendSettings):
    """Everything listens on 127.0.0.1. For partners with `own_software` no sample is started. What each user of a
    partner may have of Kafka is bytes a second and percent of one of the broker's threads."""

    smtp_port: int = 8125
    issuer_port: int = 8180
    intake_port: int = 8101
    routing_port: int = 8102
    scheduling_port: int = 8103
    notify_port: int = 8104
    gateway_port: int = 8105
    mail_from: str = "integrationsbuero@example.org"
    own_software: frozenset[str] = frozenset()
    partner_write_bytes: PositiveInt = 32 * 1024
    partner_read_bytes: PositiveInt = 4 * 1024 * 1024
    partner_request_percent: PositiveInt = 25

    @model_validator(mode="after")
    def _each_port_is_used_once(self) -> Self:
        users: dict[int, str] = {}
        for setting, port in self._ports.items():
            if port in users:
                raise ValueError(f"{users[port]} and {setting} are both {port}")
            users[port] = setting
        return self

    @property
    def _ports(self) -> dict[str, int]:
        """What we listen on, by the names in the environment."""
        servers = ("kafka", "kafka_controller", "mongo") if self.backend == "embedded" else ()
        return {f"{name}_port".upper(): getattr(self, f"{name}_port") for name in (*servers, "smtp", "issuer", *DOORS)}

    def port_of(self, service: str) -> int:
        """The port of one of the services."""
        port: int = getattr(self, f"{service}_port")
        return port

    def url_of(self, service: str) -> str:
        """The address of one of the services."""
        return f"http://127.0.0.1:{self.port_of(service)}"

    @property
    def partner_quota(self) -> Quota:
        """What each user of a partner may have of Kafka."""
        return Quota(self.partner_write_bytes, self.partner_read_bytes, self.partner_request_percent)

    @property
    def of_the_demo(self) -> "PlatformSettings":
        """The same with a folder of its own; what was fetched from the network is shared."""
        return self.model_copy(update={"var_dir": self.var_dir / "demo"})

    @property
    def mail_folder(self) -> Path:
        """Where the mail sink keeps what was sent."""
        return self.var_dir / "mail"

    @property
    def urls(self) -> dict[str, str]:
        """All addresses by their names in the environment: `INTAKE_URL` and so on."""
        return {f"{service.upper()}_URL": self.url_of(service) for service in DOORS}


def platform_settings() -> PlatformSettings:
    """What the environment says; raises `WrongSettingsError`."""
    try:
        return PlatformSettings()
    except ValidationError as error:
        raise WrongSettingsError(wrong_in(error)) from None


class _Elsewhere(BaseSettings):
    """Whose tokens partners are to ask for, and where the gateway answers them."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    oidc_issuer: str
    gateway_url: str


def told_elsewhere() -> dict[str, str]:
    """What every partner of a platform that runs elsewhere is told; raises `WrongSettingsError`."""
    try:
        said = _Elsewhere()
    except ValidationError as error:
        raise WrongSettingsError(f"with BACKEND=external partners need to be told {lacking_in(error)}") from None
    return {"OIDC_ISSUER": said.oidc_issuer, "GATEWAY_URL": said.gateway_url}


def wrong_in(error: ValidationError) -> str:
    """The variables that are wrong or lacking and why, in one line; a value is not repeated, it may be a secret."""
    return ", ".join(
        ": ".join([*(str(step).upper() for step in problem["loc"][:1]), problem["msg"].removeprefix("Value error, ")])
        for problem in error.errors()
    )
