"""The whole platform on this machine: its processes, their order, and the file that tells others where they are."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError
from pymongo.errors import PyMongoError

from deploy.backends import Server, backends
from deploy.embedded.daemon import Daemon, Home
from deploy.embedded.issuer import AUDIENCE, CLIENTS, COMMAND_LINE, Issuer, issuer_url
from deploy.embedded.mail import MailSink
from deploy.errors import DeployError
from deploy.groups import MOST_GROUPS, Groups
from deploy.handover import CREDENTIALS, GATEWAY_FOLDER
from deploy.onboarding import Onboarding
from deploy.principals import admit, admit_to_mongo, grant
from deploy.secrets import Secrets, sweep
from deploy.setting_files import write_settings
from services.routing.agreement_files import load_agreements
from shared.days import local_day
from shared.kafka_access import KafkaAccess
from shared.rights import OPERATOR, Right, rights_of_operator, rights_of_service
from shared.topics import DOORS, GATEWAY, SERVICES, provision, topics_for
from wegweiser.activation import activate_all
from wegweiser.bus import subscriptions_of
from wegweiser.children import PartnerProcess, ServiceProcess
from wegweiser.doors import NoAnswerError
from wegweiser.settings import AGREEMENTS, SERVICE_FILES, PlatformSettings, told_elsewhere
from wegweiser.supervisor import Say, Supervisor

PID_FILE: Final = "platform"
ADDRESS_FILE: Final = "platform.env"
STILL_IN: Final = "no term that is not over names {0}, but it still has rights: wegweiser partner remove {0}"
HANDED_OUT: Final = (CREDENTIALS, GATEWAY_FOLDER, SERVICE_FILES)
"""The folders with files for one process or partner each."""
_PAUSE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 10.0
"""How often it is looked whether partners have too many consumer groups."""


class AlreadyRunningError(DeployError):
    """A platform was started from this folder and still runs."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"the platform runs already (process {pid}); `make down` ends it")


def partners(*, on: date | None = None) -> list[str]:
    """Every partner that any term of the agreement names; with `on`, any that is not over then."""
    terms = [term for term in load_agreements(AGREEMENTS).terms if on is None or term.valid_to >= on]
    return sorted({partner.id for term in terms for partner in term.partners})


class Platform:
    """Kafka, MongoDB, a mail sink, an issuer of tokens, the services and the sample partners."""

    def __init__(self, settings: PlatformSettings, say: Say) -> None:
        home = Home(settings.var_dir)
        self._settings = settings
        self._say = say
        self._supervisor = Supervisor(say, lambda name: home.stopped(name).exists())
        self._pid_file = home.pid_file(PID_FILE)
        self._guard: asyncio.Task[None] | None = None
        self._stop_files = [home.stopped(name) for name in DOORS]
        self._partner_ids = partners()
        self.backends = backends(settings)
        self._mail = MailSink(home, port=settings.smtp_port, folder=settings.mail_folder)
        self._secrets = Secrets(settings.secrets_folder)
        self.issuer = Issuer(home, port=settings.issuer_port, secrets=self._secrets)
        self._services = [
            ServiceProcess(name, home, port=settings.port_of(name), environment=partial(self.environment_of, name))
            for name in DOORS
        ]
        self._partners = [
            PartnerProcess(id_, home, credentials=settings.var_dir / CREDENTIALS / f"{id_}.env")
            for id_ in self._partner_ids
            if id_ not in settings.own_software
        ]

    def environment_of(self, service: str) -> dict[str, str]:
        """What a service has to know to join, as itself."""
        kafka = self._of_gateway() if service == GATEWAY else self.backends.kafka_of(service).environment
        return {
            **kafka,
            "MONGO_URL": self.backends.mongo_of(service),
            **self._settings.urls,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self._settings.smtp_port),
            "MAIL_FROM": self._settings.mail_from,
            "OIDC_ISSUER": self.issuer.url,
            "OIDC_AUDIENCE": AUDIENCE,
            **(self._client(service) if service in CLIENTS else {}),
        }

    def _of_gateway(self) -> dict[str, str]:
        """It is nobody on Kafka by itself: only what it may do there in the partners' place."""
        folder = self._settings.var_dir.absolute() / GATEWAY_FOLDER
        return {
            "PARTNERS_FOLDER": str(folder),
            "CURSOR_KEY": self._secrets.password("gateway-cursor"),
            "WEBHOOK_KEY": self._secrets.password("gateway-webhooks"),
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
        self._tidy()

    def _tidy(self) -> None:
        """Close what an earlier version left open to others, and remove what a killed one left half-written."""
        for name in ("data", "log", "mail", "run"):
            if (folder := self._settings.var_dir / name).exists():
                folder.chmod(0o700)
        with self._secrets.alone():
            for folder in (self._secrets.folder, *(self._settings.var_dir / name for name in ("", *HANDED_OUT))):
                sweep(folder)

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
        if self._is_locked_by_us:
            self._guard = asyncio.create_task(self._keep_groups_few())
        self._write_environment()

    async def _provision(self) -> list[str]:
        told = False
        while True:
            try:
                made = await provision(self.backends.kafka, topics_for(self._partner_ids))
                await asyncio.to_thread(self._admit)
            except (KafkaError, PyMongoError) as error:
                if not told:
                    name = "Kafka" if isinstance(error, KafkaError) else "MongoDB"
                    self._say(f"{name} does not answer ({type(error).__name__}); it is asked again until it does")
                told = True
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                return made

    def _admit(self) -> None:
        """Let everybody in who is of this platform; elsewhere users are somebody else's work."""
        if self._is_locked_by_us:
            rights = rights_with(self._partner_ids)
            with self._secrets.alone():
                admit(self.backends.kafka, map(self.backends.kafka_of, rights))
                grant(self.backends.kafka, rights)
                self._welcome_partners()
        if self.backends.database is not None:
            admit_to_mongo(self.backends.mongo, map(self.backends.mongo_of, DOORS))

    @property
    def _is_locked_by_us(self) -> bool:
        """Whether users and rights on this Kafka are ours to keep."""
        return self.backends.broker is not None and self._settings.kafka_security_protocol != "PLAINTEXT"

    async def _keep_groups_few(self) -> None:
        """Forget the consumer groups that a partner has too many of, again and again."""
        groups = Groups(self.backends.kafka)
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                forgotten = await asyncio.to_thread(groups.forget_surplus, self._partner_ids)
            except KafkaError:  # the supervisor tells that Kafka is away
                continue
            for id_, number in forgotten.items():
                self._say(f"{id_} has more than {MOST_GROUPS} consumer groups; {number} without members are forgotten")

    def _welcome_partners(self) -> None:
        """Let in who was never let in; who was suspended or removed stays so."""
        onboarding = onboarding_of(self._settings, self.backends.kafka)
        current = partners(on=local_day(datetime.now(UTC)))
        for id_ in current:
            is_known = onboarding.standing(id_).is_known
            for step in onboarding.renewing(id_) if is_known else onboarding.adding(id_):
                step.do()
        over = set(self._partner_ids).difference(current)
        for id_ in sorted(over):
            if onboarding.standing(id_).with_rights:
                self._say(STILL_IN.format(id_))

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
        """Start the consumers that stand for the partners who were let in."""
        let_in = [partner for partner in self._partners if partner.is_let_in]
        await self._supervisor.start(*let_in)
        self._say(f"sample partners consume: {', '.join(partner.id for partner in let_in)}")

    async def stop(self) -> None:
        """Partners first, then the services, which drain, then what they need."""
        if self._guard is not None:
            self._guard.cancel()
        order: list[list[Server]] = [[*self._partners], [*self._services], [self._mail, self.issuer]]
        await self._supervisor.stop([*order, *([server] for server in self.backends.servers)])
        forget_environment(self._settings.var_dir)
        self._pid_file.remove()

    def _write_environment(self) -> None:
        """An operator's and each service's, in files that only their owner may read."""
        operator = {
            **self.backends.kafka_of(OPERATOR).environment,
            **self._settings.urls,
            "OIDC_ISSUER": self.issuer.url,
            **self._client(COMMAND_LINE),
        }
        write_settings(self._settings.var_dir / ADDRESS_FILE, operator)
        for service in self._services:
            file = self._settings.var_dir / SERVICE_FILES / f"{service.name}.env"
            write_settings(file, service.environment())


def rights_with(partner_ids: Sequence[str]) -> dict[str, list[Right]]:
    """What everybody but the partners themselves may do on the Kafka of a platform with these partners."""
    topics = [topic.name for topic in topics_for(partner_ids)]
    return {
        **{name: list(rights_of_service(name, subscriptions_of(name), topics)) for name in SERVICES},
        OPERATOR: list(rights_of_operator(partner_ids)),
    }


def onboarding_of(settings: PlatformSettings, admin: KafkaAccess) -> Onboarding:
    """What lets partners in and out of a platform with these settings. Raises `WrongSettingsError` where it runs
    elsewhere and the settings do not say what its partners are to be told."""
    here = {"OIDC_ISSUER": issuer_url(settings.issuer_port), "GATEWAY_URL": settings.url_of(GATEWAY)}
    is_here = settings.backend != "external"
    return Onboarding(
        admin,
        Secrets(settings.secrets_folder),
        settings.var_dir,
        told=here if is_here else told_elsewhere(),
        others=rights_with(partners()),
        quota=settings.partner_quota,
        makes_clients=is_here,
    )


def forget_environment(var_dir: Path) -> None:
    """Remove what told others where everything is: nobody answers there any more."""
    (var_dir / ADDRESS_FILE).unlink(missing_ok=True)
    shutil.rmtree(var_dir / SERVICE_FILES, ignore_errors=True)
