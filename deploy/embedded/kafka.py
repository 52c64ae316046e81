"""Apache Kafka on this machine: one process that is broker and controller, on 127.0.0.1 only."""

import base64
import socket
import ssl
import struct
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import Final

from pydantic import SecretStr

from deploy.embedded.daemon import Daemon, Home
from deploy.embedded.java import JAVA, kafka_jars
from deploy.errors import ForeignDataError
from deploy.secrets import Secrets, password_file
from deploy.settings import ADMIN
from shared.kafka_access import KafkaAccess, Protocol

_LOG4J: Final = Path(__file__).with_name("log4j2.properties")
_JVM: Final = (
    "-Xmx512m",
    "-XX:+UseSerialGC",  # one small heap needs no collector with threads of its own
    "-XX:TieredStopAtLevel=1",  # starts a third faster; the compiler's second stage took as much CPU as the broker
    f"-Dlog4j2.configurationFile={_LOG4J}",
)
BROKER_SETTINGS: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "CLIENTS",
    # Topics are provisioned; a reader's typing error must not make one.
    "auto.create.topics.enable": "false",
    # A reader that was away keeps its position longer than the longest topic keeps its records.
    "offsets.retention.minutes": str(31 * 24 * 60),
    # What somebody says beside a position is kept in memory, once for each partition of each group.
    "offset.metadata.max.bytes": "64",
    "group.max.size": "100",
    # Requests are read as a whole before anybody asks what they are.
    "socket.request.max.bytes": str(16 * 1024 * 1024),
    "queued.max.request.bytes": str(64 * 1024 * 1024),
    "log.retention.hours": str(30 * 24),
    # Only closed segments expire: with the default of seven days a record could stay a week longer than its topic says.
    "log.roll.hours": "24",
    # Index files are made in their full size, and the system fills with zeros what it reads ahead when one is touched:
    # with the default of 10 MiB fifty new partners cost ten seconds of a core. This is enough for 85 MiB a segment.
    "log.index.size.max.bytes": "262144",
    "message.max.bytes": "1048588",
    # One broker holds the only copy; few partitions of the internal topics make it start faster.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "5",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # After a crash the broker may register again only when its former self is known to be dead.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # The default would take a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": "8388608",
}
"""What we ask of every broker that we start, in a container or not."""

BROKER: Final = "broker"
SCRAM: Final = "SCRAM-SHA-512"
_FORMAT: Final = "kafka-format"
_FORMATTED: Final = "kafka-formatted"
_API_VERSIONS: Final = struct.pack(">ihhih", 10, 18, 0, 0, -1)
"""Kafka's request that every client sends first: size, key 18, version 0, correlation id, no client id."""


def answers(access: KafkaAccess) -> bool:
    """Whether a broker answers there; an open port alone may be a container engine's proxy."""
    host, _, port = access.kafka_bootstrap.rpartition(":")
    try:
        with ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=1))
            if access.kafka_security_protocol != "PLAINTEXT":
                trusting = ssl.create_default_context(cafile=access.kafka_ca)
                connection = stack.enter_context(trusting.wrap_socket(connection, server_hostname=host))
            connection.sendall(_API_VERSIONS)
            return bool(connection.recv(4))
    except OSError:
        return False


def access_of(user: str, *, bootstrap: str, protocol: Protocol, secrets: Secrets) -> KafkaAccess:
    """How a user reaches a broker of ours."""
    if protocol == "PLAINTEXT":
        return KafkaAccess(kafka_bootstrap=bootstrap, kafka_security_protocol=protocol)
    return KafkaAccess(
        kafka_bootstrap=bootstrap,
        kafka_sasl_username=user,
        kafka_sasl_password=SecretStr(secrets.password(password_file(user))),
        kafka_ca=secrets.authority,
    )


def security_settings(protocol: Protocol, *, key: PurePath, authority: PurePath, password: str) -> Mapping[str, str]:
    """What keeps the doors of that protocol shut: for clients, for the broker itself, and for the controller.

    `key` and `authority` are files as the broker finds them.
    """
    if protocol == "PLAINTEXT":
        return {"listener.security.protocol.map": "CLIENTS:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT"}
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    login = f'{module} required username="{BROKER}" password="{password}";'
    return {
        # The controller takes administration as well: only the broker's own certificate opens its door.
        "listener.security.protocol.map": "CLIENTS:SASL_SSL,INSIDE:SASL_SSL,CONTROLLER:SSL",
        "listener.name.controller.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(key),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority),
        "sasl.enabled.mechanisms": SCRAM,
        "sasl.mechanism.inter.broker.protocol": SCRAM,
        "listener.name.clients.scram-sha-512.sasl.jaas.config": login,
        "listener.name.inside.scram-sha-512.sasl.jaas.config": login,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{BROKER};User:{ADMIN};User:CN={BROKER}",
    }


def scram_options(secrets: Secrets) -> list[str]:
    """What the storage is formatted with, so that the first users can sign in at the first start."""
    users = {user: secrets.password(password_file(user)) for user in (BROKER, ADMIN)}
    return [f"--add-scram={SCRAM}=[name={user},password={password}]" for user, password in users.items()]


def render_properties(*, port: int, controller_port: int, data: Path, security: Mapping[str, str]) -> str:
    """The configuration file of a broker on 127.0.0.1."""
    places = {
        "listeners": f"CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"CLIENTS://127.0.0.1:{port}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "log.dirs": str(data),
    }
    return rendered({**BROKER_SETTINGS, **places, **security})


def rendered(settings: Mapping[str, str]) -> str:
    """Settings as a configuration file."""
    return "".join(f"{name}={value}\n" for name, value in settings.items())


class KafkaBroker(Daemon):
    """A broker whose records survive a restart and a crash."""

    start_seconds = 120.0  # after a crash it reads its last segments again
    stop_seconds = 30.0

    def __init__(
        self, home: Home, *, port: int, controller_port: int, jar_cache: Path, secrets: Secrets, protocol: Protocol
    ) -> None:
        super().__init__("kafka", home, ports={"KAFKA_PORT": port, "KAFKA_CONTROLLER_PORT": controller_port})
        self._port = port
        self._controller_port = controller_port
        self._jar_cache = jar_cache
        self._data = home.data("kafka").absolute()
        self._secrets = secrets
        self._protocol = protocol
        self._properties = secrets.folder / "kafka.properties"

    def access_of(self, user: str) -> KafkaAccess:
        """How a user reaches it."""
        return access_of(user, bootstrap=f"127.0.0.1:{self._port}", protocol=self._protocol, secrets=self._secrets)

    def command(self) -> Sequence[str]:
        """The broker itself."""
        return [*self._java(), "kafka.Kafka", str(self._properties)]

    def prepare(self) -> None:
        """Write the configuration and renew the certificate; the first time also the cluster's identity.

        Raises `ForeignDataError` where the data are of a cluster with other users, or with none.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        (self._secrets.folder / _FORMAT).unlink(missing_ok=True)  # of a start that was killed
        security = security_settings(
            self._protocol,
            key=self._secrets.certificate(BROKER),
            authority=self._secrets.authority,
            password=self._secrets.password(password_file(BROKER)),
        )
        self._secrets.keep(
            self._properties.name,
            render_properties(
                port=self._port, controller_port=self._controller_port, data=self._data, security=security
            ),
        )
        formatted = self._secrets.folder / _FORMATTED
        if not (self._data / "meta.properties").exists():
            self._format()
            self._secrets.keep(formatted.name, self._protocol)
        elif not formatted.exists():
            raise ForeignDataError(self.name, self._data, self._secrets.folder)

    def is_ready(self) -> bool:
        """The broker opens its door last, when it has joined its own cluster."""
        return answers(self.access_of(ADMIN))

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # In a file, since everybody on the machine sees a command's arguments.
        options = self._secrets.keep(_FORMAT, "\n".join(scram_options(self._secrets)))
        tool = [
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            f"--cluster-id={cluster}",
            f"--config={self._properties}",
            f"@{options}",
        ]
        with self.log.open("ab") as log:
            done = subprocess.run([*self._java(), *tool], stdout=log, stderr=subprocess.STDOUT, check=False)
        options.unlink()
        if done.returncode != 0:
            raise self.failure("could not prepare its storage")

    def _java(self) -> list[str]:
        return [JAVA, *_JVM, "-cp", ":".join(str(jar.absolute()) for jar in kafka_jars(self._jar_cache))]
