"""Kafka and MongoDB in containers, by testcontainers: the official images, or local ones of the same contract.

Plain `DockerContainer`s: testcontainers' own Kafka module serves one vendor's image, its MongoDB module starts
without a replica set. Ports of the host are chosen before the start, since a broker has to know the address that it
advertises, and a container that is started again has to keep it.
"""

import shlex
import time
from abc import ABC, abstractmethod
from pathlib import PurePosixPath
from typing import Final

from docker.errors import DockerException  # type: ignore[import-untyped]
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from deploy.embedded.kafka import (
    BROKER,
    BROKER_SETTINGS,
    access_of,
    answers,
    rendered,
    scram_options,
    security_settings,
)
from deploy.embedded.mongodb import KEY, become_primary, server_options, url_of
from deploy.embedded.ports import free_ports
from deploy.errors import DeployError
from deploy.secrets import Secrets, password_file
from deploy.settings import ADMIN
from shared.kafka_access import KafkaAccess, Protocol

_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 20
_HERE: Final = frozenset({"localhost", "127.0.0.1"})
_KAFKA_PORT: Final = 9092
_MONGO_PORT: Final = 27017
_SCRIPTS: Final = "/opt/kafka/bin"
_ROOM: Final = PurePosixPath("/tmp/integrationsbuero")  # noqa: S108  # inside the container, where nobody else is
_LOCKED: Final = _ROOM / "locked"


class ContainerStartError(DeployError):
    """A container did not come up; the text ends with its log."""


class EngineError(DeployError):
    """The container engine cannot be reached, or refuses."""

    def __init__(self, name: str, error: DockerException) -> None:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        super().__init__(f"{name} cannot start: BACKEND=containers needs a container engine, which says: {why}")


class Container(ABC):
    """One server in a container, with one port."""

    def __init__(self, name: str, image: str, inner_port: int) -> None:
        self.name = name
        try:
            engine = DockerClient()
        except DockerException as error:
            raise EngineError(name, error) from error
        self.host = "127.0.0.1" if engine.host() in _HERE else engine.host()
        engine.client.close()
        [self.port] = free_ports(1)
        self._container = DockerContainer(image).with_bind_ports(inner_port, self.port)
        if self.host in _HERE:
            # An engine on this machine would open the port to the whole network.
            self._container.ports = {f"{inner_port}/tcp": (self.host, self.port)}  # type: ignore[dict-item]
        self._exists = False

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the server in it does its work."""

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Start and wait until ready; the first time the container is made.

        Raises `ContainerStartError` or `EngineError`.
        """
        try:
            if self._exists:
                self._container.get_wrapped_container().start()
            else:
                self._container.start()
                self._exists = True
        except DockerException as error:
            raise EngineError(self.name, error) from error
        give_up = time.monotonic() + _START_SECONDS
        while not self.is_ready():
            if time.monotonic() > give_up or not self.is_running:
                log = self._container.get_wrapped_container().logs(tail=15).decode(errors="replace")
                raise ContainerStartError(
                    f"{self.name} did not start from {self._container.image}; its log ends with:\n{log}"
                )
            time.sleep(0.2)

    def stop(self) -> None:
        """SIGTERM, wait, and SIGKILL for what does not end."""
        self._container.get_wrapped_container().stop(timeout=_STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL, as a crash would be."""
        self._container.get_wrapped_container().kill()

    def restart(self) -> None:
        """Stop and start on the same data and port."""
        self.stop()
        self.start()

    def discard(self) -> None:
        """Remove the container with its data."""
        self._container.stop()
        self._exists = False

    @property
    def is_running(self) -> bool:
        """Whether the container was started and has not ended."""
        if not self._exists:
            return False
        self._container.reload()
        return self._container.status == "running"

    def _last_words(self) -> str:
        log: bytes = self._container.get_wrapped_container().logs(tail=10)
        return log.decode(errors="replace")


class KafkaContainer(Container):
    """A broker in KRaft mode, made as the embedded one is: the image's own start knows no users."""

    def __init__(self, image: str, *, secrets: Secrets, protocol: Protocol) -> None:
        super().__init__("kafka", image, _KAFKA_PORT)
        self._secrets = secrets
        self._protocol = protocol
        security = security_settings(
            protocol,
            key=_ROOM / "broker.pem",
            authority=_ROOM / "ca.pem",
            password=secrets.password(password_file(BROKER)),
        )
        places = {
            # The broker speaks to itself inside; what it advertises is only true outside.
            "listeners": f"CLIENTS://:{_KAFKA_PORT},INSIDE://localhost:9094,CONTROLLER://localhost:9093",
            "advertised.listeners": f"CLIENTS://{self.address},INSIDE://localhost:9094",
            "inter.broker.listener.name": "INSIDE",
            "controller.quorum.voters": "1@localhost:9093",
            "log.dirs": "/tmp/kafka",  # noqa: S108  # where every user of the image may write
        }
        for name, content in {
            "kafka.properties": rendered({**BROKER_SETTINGS, **places, **security}),
            "format": "\n".join(scram_options(secrets)),
            "broker.pem": secrets.certificate(BROKER).read_text(),
            "ca.pem": secrets.authority.read_text(),
        }.items():
            self._container.with_copy_into_container(content.encode(), str(_ROOM / name))
        script = (
            f"{_SCRIPTS}/kafka-storage.sh format --ignore-formatted --cluster-id=MkU3OEVBNTcwNTJENDM2Qk"
            f" --config={_ROOM}/kafka.properties @{_ROOM}/format"
            f" && exec {_SCRIPTS}/kafka-server-start.sh {_ROOM}/kafka.properties"
        )
        self._container.with_command(["sh", "-c", script]).with_env("KAFKA_HEAP_OPTS", "-Xmx512m")

    def access_of(self, user: str) -> KafkaAccess:
        """How a user reaches it."""
        return access_of(user, bootstrap=self.address, protocol=self._protocol, secrets=self._secrets)

    def is_ready(self) -> bool:
        """Whether the broker answers."""
        return answers(self.access_of(ADMIN))


class MongoContainer(Container):
    """A mongod as a replica set of its own.

    Its first user is made before the door is locked: from outside a container nobody counts as on its own machine.
    """

    def __init__(self, image: str, *, cache_gb: float, secrets: Secrets) -> None:
        super().__init__("mongod", image, _MONGO_PORT)
        self._secrets = secrets
        self._is_locked = False
        self._container.with_copy_into_container(secrets.password(KEY).encode(), str(_ROOM / KEY), 0o600)
        options = shlex.join(["--bind_ip_all", "--wiredTigerCacheSizeGB", str(cache_gb), *server_options()])
        script = f"exec mongod {options} $([ -e {_LOCKED} ] && echo --keyFile {_ROOM / KEY})"
        self._container.with_command(["sh", "-c", script])

    def start(self) -> None:
        """Start and wait until ready; the first time with its door open until its first user is made."""
        super().start()
        if not self._is_locked:  # also where a first start was given up before its user was made
            self._container.copy_into_container(b"", str(_LOCKED))
            self._is_locked = True
            self.restart()

    def discard(self) -> None:
        """Remove the container with its data, and with what locks its door."""
        super().discard()
        self._is_locked = False

    def url_of(self, user: str) -> str:
        """How a user reaches it."""
        # Directly: the member is named by its address inside the container.
        return url_of(user, address=self.address, secrets=self._secrets, options="&directConnection=true")

    def is_ready(self) -> bool:
        """Whether it takes writes as the primary of its replica set."""
        return become_primary(self.address, member=f"127.0.0.1:{_MONGO_PORT}", secrets=self._secrets)
