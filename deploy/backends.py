"""One Kafka and one MongoDB for the platform and its tests, wherever they come from."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from deploy.settings import ADMIN, BackendSettings, External
from shared.kafka_access import KafkaAccess


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
    """How a principal reaches each of the two, and the servers behind them; those are `None` where they are not ours to
    start. Elsewhere everybody is who the settings name."""

    kafka_of: Callable[[str], KafkaAccess]
    mongo_of: Callable[[str], str]
    broker: Server | None = None
    database: Server | None = None

    @property
    def kafka(self) -> KafkaAccess:
        """Kafka for an administrator."""
        return self.kafka_of(ADMIN)

    @property
    def mongo(self) -> str:
        """MongoDB for an administrator."""
        return self.mongo_of(ADMIN)

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
            elsewhere = External()
            access = KafkaAccess(**{name: getattr(elsewhere, name) for name in KafkaAccess.model_fields})
            return Backends(lambda _: access, lambda _: elsewhere.mongo_url)


def _embedded(settings: BackendSettings) -> Backends:
    # Imported here: production images have neither a Java runtime nor a mongod.
    from deploy.embedded.daemon import Home
    from deploy.embedded.kafka import KafkaBroker
    from deploy.embedded.mongodb import MongoServer
    from deploy.secrets import Secrets

    home, secrets = Home(settings.var_dir), Secrets(settings.secrets_folder)
    broker = KafkaBroker(
        home,
        port=settings.kafka_port,
        controller_port=settings.kafka_controller_port,
        jar_cache=settings.jar_cache,
        secrets=secrets,
        protocol=settings.kafka_security_protocol,
    )
    database = MongoServer(home, port=settings.mongo_port, cache_gb=settings.mongo_cache_gb, secrets=secrets)
    return Backends(broker.access_of, database.url_of, broker, database)


def _containers(settings: BackendSettings) -> Backends:
    # Imported here: only developers have testcontainers.
    from deploy.containers import KafkaContainer, MongoContainer
    from deploy.secrets import Secrets

    secrets = Secrets(settings.secrets_folder)
    broker = KafkaContainer(settings.kafka_image, secrets=secrets, protocol=settings.kafka_security_protocol)
    database = MongoContainer(settings.mongo_image, cache_gb=settings.mongo_cache_gb, secrets=secrets)
    return Backends(broker.access_of, database.url_of, broker, database)
