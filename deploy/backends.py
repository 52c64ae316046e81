"""One Kafka and one MongoDB for the platform and its tests, wherever they come from."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from deploy.settings import BackendSettings


class Server(Protocol):
    """A process or container of ours that can be stopped, killed and started again on its data."""

    name: str

    def start(self) -> None:
        """Start and wait until ready."""
        ...

    def stop(self) -> None:
        """Stop gently and wait for the end."""
        ...

    def kill(self) -> None:
        """End it as a crash would."""
        ...

    def restart(self) -> None:
        """Stop and start."""
        ...

    def discard(self) -> None:
        """Stop for good."""
        ...

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        ...


@dataclass(frozen=True, slots=True)
class Backends:
    """The two addresses, and the servers behind them; those are `None` where they are not ours to start."""

    kafka: str
    mongo: str
    broker: Server | None = None
    database: Server | None = None

    @property
    def servers(self) -> list[Server]:
        """What is ours, in the order in which it may be stopped."""
        return [server for server in (self.broker, self.database) if server]

    def start(self) -> None:
        """Start what is ours and does not run, both at once."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda server: None if server.is_running else server.start(), self.servers))

    def discard(self) -> None:
        """Stop what is ours for good."""
        for server in self.servers:
            server.discard()


def backends(settings: BackendSettings) -> Backends:
    """The backends that the settings ask for; nothing is started yet."""
    match settings.backend:
        case "embedded":
            return _embedded(settings)
        case "containers":
            return _containers(settings)
        case "external":
            assert settings.kafka_bootstrap, "the settings have checked this"
            assert settings.mongo_url, "the settings have checked this"
            return Backends(settings.kafka_bootstrap, settings.mongo_url)


def _embedded(settings: BackendSettings) -> Backends:
    # Imported here: production images have neither a Java runtime nor a mongod.
    from deploy.embedded.daemon import Home
    from deploy.embedded.kafka import KafkaBroker
    from deploy.embedded.mongodb import MongoServer

    home = Home(settings.var_dir)
    broker = KafkaBroker(
        home,
        port=settings.kafka_port,
        controller_port=settings.kafka_controller_port,
        jar_cache=settings.jar_cache,
    )
    database = MongoServer(home, port=settings.mongo_port, cache_gb=settings.mongo_cache_gb)
    return Backends(broker.bootstrap, database.url, broker, database)


def _containers(settings: BackendSettings) -> Backends:
    # Imported here: only developers have testcontainers.
    from deploy.containers import KafkaContainer, MongoContainer

    broker = KafkaContainer(settings.kafka_image)
    database = MongoContainer(settings.mongo_image, cache_gb=settings.mongo_cache_gb)
    return Backends(broker.bootstrap, database.url, broker, database)
