"""Apache Kafka on this machine: one process that is broker and controller, on 127.0.0.1 only."""

import base64
import socket
import struct
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.embedded.daemon import Daemon, Home
from deploy.embedded.java import JAVA, kafka_jars

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
    # Topics are provisioned; a reader's typing error must not make one.
    "auto.create.topics.enable": "false",
    # A reader that was away keeps its position longer than the longest topic keeps its records.
    "offsets.retention.minutes": str(31 * 24 * 60),
    "log.retention.hours": str(30 * 24),
    # Only closed segments expire: with the default of seven days a record could stay a week longer than its topic says.
    "log.roll.hours": "24",
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

_API_VERSIONS: Final = struct.pack(">ihhih", 10, 18, 0, 0, -1)
"""Kafka's request that every client sends first: size, key 18, version 0, correlation id, no client id."""


def answers(host: str, port: int) -> bool:
    """Whether a broker answers there; an open port alone may be a container engine's proxy."""
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            connection.sendall(_API_VERSIONS)
            return bool(connection.recv(4))
    except OSError:
        return False


def render_properties(*, port: int, controller_port: int, data: Path) -> str:
    """The configuration file of a broker on 127.0.0.1."""
    places = {
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "log.dirs": str(data),
    }
    return "".join(f"{name}={value}\n" for name, value in {**BROKER_SETTINGS, **places}.items())


class KafkaBroker(Daemon):
    """A broker whose records survive a restart and a crash."""

    start_seconds = 120.0  # after a crash it reads its last segments again
    stop_seconds = 30.0

    def __init__(self, home: Home, *, port: int, controller_port: int, jar_cache: Path) -> None:
        super().__init__("kafka", home, ports={"KAFKA_PORT": port, "KAFKA_CONTROLLER_PORT": controller_port})
        self.bootstrap = f"127.0.0.1:{port}"
        self._port = port
        self._controller_port = controller_port
        self._jar_cache = jar_cache
        self._data = home.data("kafka").absolute()
        self._properties = self._data.with_name("kafka.properties")

    def command(self) -> Sequence[str]:
        """The broker itself."""
        return [*self._java(), "kafka.Kafka", str(self._properties)]

    def prepare(self) -> None:
        """Write the configuration; the first time also the cluster's identity."""
        self._data.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(
            render_properties(port=self._port, controller_port=self._controller_port, data=self._data)
        )
        if not (self._data / "meta.properties").exists():
            self._format()

    def is_ready(self) -> bool:
        """The broker opens its door last, when it has joined its own cluster."""
        return answers("127.0.0.1", self._port)

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = [
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            f"--cluster-id={cluster}",
            "-c",
            str(self._properties),
        ]
        with self.log.open("ab") as log:
            done = subprocess.run([*self._java(), *tool], stdout=log, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise self.failure("could not prepare its storage")

    def _java(self) -> list[str]:
        return [JAVA, *_JVM, "-cp", ":".join(str(jar.absolute()) for jar in kafka_jars(self._jar_cache))]
