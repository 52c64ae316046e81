"""The whole platform on this machine: its processes, their order, and the file that tells others where they are."""

import asyncio
import os
import re
import shlex
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError

from deploy.backends import Server, backends
from deploy.embedded.daemon import Daemon, Home
from deploy.embedded.issuer import AUDIENCE, CLIENTS, COMMAND_LINE, Issuer
from deploy.embedded.mail import MailSink
from deploy.errors import DeployError
from deploy.secrets import Secrets
from services.routing.agreement_files import load_agreements
from shared.topics import SERVICES, provision, topics_for
from wegweiser.activation import activate_all
from wegweiser.children import PartnerProcess, ServiceProcess
from wegweiser.doors import NoAnswerError
from wegweiser.settings import AGREEMENTS, PlatformSettings
from wegweiser.supervisor import Say, Supervisor

PID_FILE: Final = "platform"
ADDRESS_FILE: Final = "platform.env"
SERVICES_FOLDER: Final = "services"
_PAUSE_SECONDS: Final = 1.0
_PLAIN: Final = re.compile(r"[\w@%+=:,./?-]*")


class AlreadyRunningError(DeployError):
    """A platform was started from this folder and still runs."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"the platform runs already (process {pid}); `make down` ends it")


def partners() -> list[str]:
    """Every partner that any term of the agreement names."""
    return sorted({partner.id for term in load_agreements(AGREEMENTS).terms for partner in term.partners})


class Platform:
    """Kafka, MongoDB, a mail sink, an issuer of tokens, the services and the sample partners."""

    def __init__(self, settings: PlatformSettings, say: Say) -> None:
        home = Home(settings.var_dir)
        self._settings = settings
        self._say = say
        self._supervisor = Supervisor(say, lambda name: home.stopped(name).exists())
        self._pid_file = home.pid_file(PID_FILE)
        self._stop_files = [home.stopped(name) for name in SERVICES]
        self._partner_ids = partners()
        self.backends = backends(settings)
        self._mail = MailSink(home, port=settings.smtp_port, folder=settings.mail_folder)
        self.issuer = Issuer(home, port=settings.issuer_port, secrets=Secrets(settings.secrets_folder))
        self._services = [
            ServiceProcess(name, home, port=settings.port_of(name), environment=partial(self.environment_of, name))
            for name in SERVICES
        ]
        self._partners = [PartnerProcess(id_, home, kafka=self.backends.kafka) for id_ in self._partner_ids]

    def environment_of(self, client: str) -> dict[str, str]:
        """What a service, or `wegweiser` for an operator, has to know to join: where everything is, and who it is."""
        return {
            "KAFKA_BOOTSTRAP": self.backends.kafka,
            "MONGO_URL": self.backends.mongo,
            **self._settings.urls,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self._settings.smtp_port),
            "MAIL_FROM": self._settings.mail_from,
            "OIDC_ISSUER": self.issuer.url,
            "OIDC_AUDIENCE": AUDIENCE,
            **(self._client(client) if client in CLIENTS else {}),
        }

    def _client(self, client: str) -> dict[str, str]:
        return {"OIDC_CLIENT_ID": client, "OIDC_CLIENT_SECRET": self.issuer.credentials(client).client_secret}

    def claim(self) -> None:
        """Be the platform of this folder; raises `AlreadyRunningError`, or `PortTakenError` before anything starts."""
        pid = self._pid_file.read()
        if pid is not None:
            raise AlreadyRunningError(pid)
        for child in (*self.backends.servers, self._mail, self.issuer, *self._services):
            if isinstance(child, Daemon):
                child.require_ports()
        for file in self._stop_files:
            file.unlink(missing_ok=True)
        self._pid_file.write(os.getpid())
        forget_environment(self._settings.var_dir)

    def empty(self) -> None:
        """Forget what an earlier run left, so that everything happens for the first time; only after `claim`."""
        for name in ("data", "log", "mail"):
            shutil.rmtree(self._settings.var_dir / name, ignore_errors=True)

    async def start(self) -> None:
        """Start everything but the partners, in the order in which each needs the other; raises `DeployError`."""
        self._say("starting Kafka, MongoDB, a mail sink and an issuer of tokens …")
        await self._supervisor.start(*self.backends.servers, self._mail, self.issuer)
        made = await self._provision()
        self._say(f"{len(made)} topics made" if made else "the topics of an earlier run are there")
        self._say("starting the services …")
        await self._supervisor.start(*self._services)
        await self._activate()
        self._write_environment()

    async def _provision(self) -> list[str]:
        told = False
        while True:
            try:
                return await provision(self.backends.kafka, topics_for(self._partner_ids))
            except KafkaError as error:
                if not told:
                    self._say(f"Kafka does not answer ({type(error).__name__}); it is asked again until it does")
                told = True
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _activate(self) -> None:
        operator = self.issuer.credentials(COMMAND_LINE)
        while True:
            try:
                made = await asyncio.to_thread(
                    activate_all, load_agreements(AGREEMENTS), self._settings.url_of("routing"), operator
                )
            except NoAnswerError as error:
                self._say(f"{error}; it is asked again until it does")
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                self._say(f"agreements activated: {', '.join(made)}" if made else "the agreements are active already")
                return

    async def start_partners(self) -> None:
        """Start the consumers that stand for the partners."""
        await self._supervisor.start(*self._partners)
        self._say(f"sample partners consume: {', '.join(self._partner_ids)}")

    async def stop(self) -> None:
        """Partners first, then the services, which drain, then what they need."""
        order: list[list[Server]] = [[*self._partners], [*self._services], [self._mail, self.issuer]]
        await self._supervisor.stop([*order, *([server] for server in self.backends.servers)])
        forget_environment(self._settings.var_dir)
        self._pid_file.remove()

    def _write_environment(self) -> None:
        """An operator's and each service's, in files that only their owner may read."""
        self._write(ADDRESS_FILE, self.environment_of(COMMAND_LINE))
        for service in self._services:
            self._write(f"{SERVICES_FOLDER}/{service.name}.env", service.environment())

    def _write(self, name: str, environment: Mapping[str, str]) -> None:
        lines = "".join(f"{key}={_for_a_shell(value)}\n" for key, value in environment.items())
        file = self._settings.var_dir / name
        Secrets(file.parent).keep(file.name, lines)


def forget_environment(var_dir: Path) -> None:
    """Remove what told others where everything is: nobody answers there any more."""
    for file in (var_dir / ADDRESS_FILE, *(var_dir / SERVICES_FOLDER / f"{name}.env" for name in SERVICES)):
        file.unlink(missing_ok=True)


def _for_a_shell(value: str) -> str:
    """Quoted only where a shell needs it: other readers of such files take quotation marks for a part of the value."""
    return value if _PLAIN.fullmatch(value) else shlex.quote(value)
