"""The four services as processes of their own, started by the command an operator types."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.harness import AGREEMENTS, Bench, partners
from deploy.embedded.daemon import Home
from deploy.embedded.issuer import AUDIENCE, COMMAND_LINE, Issuer
from deploy.embedded.ports import free_ports
from deploy.handover import GATEWAY_FOLDER
from deploy.secrets import Secrets
from services.routing.agreement_files import load_agreements
from services.routing.domain.agreement import Agreement
from shared.topics import GATEWAY, SERVICES
from shared.web.roles import Role
from wegweiser.activation import activate_all
from wegweiser.children import ServiceProcess

_PLACE: Final = "integrationsbuero"
_CLOCK_TICKS: Final = 100
_PAGE_KIB: Final = 4


class Measured(ServiceProcess):
    """A service that can be asked what it holds and uses."""

    @property
    def resident_megabytes(self) -> float:
        """Memory in use now."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * _PAGE_KIB / 1024

    @property
    def cpu_seconds(self) -> float:
        """CPU used since the start, in user and kernel."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


class Services:
    """Intake, routing, scheduling and notify; mail is counted instead of sent, and slots never run out. The gateway is
    beside them for those who start it, and sends to `webhook_hosts`."""

    def __init__(self, bench: Bench, agreements: Iterable[Agreement] | None = None) -> None:
        """`agreements` count instead of the platform's own."""
        ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        self.intake_url = f"http://127.0.0.1:{ports['intake']}"
        self._routing_url = f"http://127.0.0.1:{ports['routing']}"
        self._issuer = Issuer(Home(bench.home), port=free_ports(1)[0], secrets=Secrets(bench.home / "secrets"))
        notify = self._issuer.credentials("notify")
        environment = {
            **bench.kafka.environment,
            "MONGO_URL": bench.mongo,
            "INTAKE_URL": self.intake_url,
            "MAIL_FROM": "integrationsbuero@example.org",
            "MAIL_TRANSPORT": "count",
            "RESOURCES_FILE": str(_resources(bench.home / "resources.toml", partners())),
            "OIDC_ISSUER": notify.issuer,
            "OIDC_AUDIENCE": AUDIENCE,
            "OIDC_CLIENT_ID": notify.client_id,
            "OIDC_CLIENT_SECRET": notify.client_secret,
            "LOG_FORMAT": "json",
            # One process answers for every partner, faster than each alone may.
            "PARTNER_RECORDS_PER_SECOND": "200",
        }
        self._agreements = load_agreements(AGREEMENTS) if agreements is None else agreements
        home = Home(bench.home / "services")
        self.processes = {
            name: Measured(name, home, port=ports[name], environment=lambda: environment) for name in SERVICES
        }
        self.webhook_hosts: Mapping[str, Sequence[str]] = {}
        self.gateway = self._a_gateway(bench, home, environment)

    def _a_gateway(self, bench: Bench, home: Home, environment: Mapping[str, str]) -> Measured:
        [port] = free_ports(1)
        self.gateway_url = f"http://127.0.0.1:{port}"
        told = {
            **environment,
            "PARTNERS_FOLDER": str(bench.home / GATEWAY_FOLDER),
            "CURSOR_KEY": "a key of the benchmarks",
            "WEBHOOK_KEY": "a key of the benchmarks",
        }
        return Measured(
            GATEWAY, home, port=port, environment=lambda: {**told, "WEBHOOK_HOSTS": json.dumps(self.webhook_hosts)}
        )

    def start(self, names: Iterable[str] = SERVICES) -> dict[str, float]:
        """Start these one after the other; returns the seconds each took until it was ready."""
        if not self._issuer.is_running:
            self._issuer.start()
        seconds = {}
        for name in names:
            began = time.monotonic()
            self.processes[name].start()
            seconds[name] = time.monotonic() - began
            if name == "routing":
                activate_all(self._agreements, self._routing_url, self._issuer.credentials(COMMAND_LINE))
        return seconds

    def token_of(self, partner_id: str) -> str:
        """A token with which a partner opens the gateway."""
        return self._issuer.credentials(COMMAND_LINE).obtain(scope=Role.PARTNER, partner_id=partner_id, minutes="600")

    @property
    def token(self) -> str:
        """A token with which cases are sent; the issuer runs as long as a service does."""
        return self._issuer.credentials(COMMAND_LINE).obtain(scope=Role.FRONT_DESK, minutes="600")

    def start_missing(self) -> None:
        """Start those that do not run."""
        self.start(name for name, process in self.processes.items() if not process.is_running)

    def stop(self) -> None:
        """Stop all, gently."""
        for process in self.processes.values():
            process.stop()
        self.gateway.stop()
        self._issuer.stop()


def _resources(file: Path, partner_ids: Sequence[str]) -> Path:
    """A table with some 6,000 seats a partner and working day, a dozen at each start."""
    hours = "\n".join(f'{day} = ["08:00-18:00"]' for day in ("monday", "tuesday", "wednesday", "thursday", "friday"))
    tables = [
        f'[[resources]]\nid = "{partner}-{number}"\npartner = "{partner}"\nplace = "{_PLACE}"\nmode = "on_site"\n'
        f"minutes = 15\nseats = 50\n[resources.hours]\n{hours}\n"
        for partner in partner_ids
        for number in range(3)
    ]
    file.write_text("\n".join(tables))
    return file
