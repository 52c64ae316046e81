"""MongoDB on this machine: one mongod as a replica set of its own, because transactions need one."""

import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from deploy.embedded.daemon import Daemon, Home
from deploy.errors import ForeignDataError
from deploy.secrets import Secrets
from deploy.settings import ADMIN

REPLICA_SET: Final = "rs0"
PARAMETERS: Final = {
    "transactionLifetimeLimitSeconds": 10,  # a service killed inside a transaction blocks its successor this long
    "diagnosticDataCollectionEnabled": "false",  # up to 200 MB of measurements nobody here reads
}
KEY: Final = "mongo-key"
_NOT_ALLOWED: Final = 13
_NOT_KNOWN: Final = 18
_SMALLEST_OPLOG_MB: Final = 990


def mongod() -> Path:
    """The server's program, which comes in a wheel."""
    return Path(sysconfig.get_paths()["purelib"]) / "fiftyone" / "db" / "bin" / "mongod"


def server_options() -> list[str]:
    """What we ask of every mongod that we start, in a container or not."""
    parameters = [text for name, value in PARAMETERS.items() for text in ("--setParameter", f"{name}={value}")]
    return ["--replSet", REPLICA_SET, "--oplogSize", str(_SMALLEST_OPLOG_MB), "--quiet", *parameters]


def url_of(user: str, *, address: str, secrets: Secrets, options: str = "") -> str:
    """How a user reaches a mongod of ours."""
    password = secrets.password(f"mongo-{user}")
    return f"mongodb://{user}:{password}@{address}/?replicaSet={REPLICA_SET}&authSource=admin{options}"


def become_primary(address: str, *, member: str, secrets: Secrets) -> bool:
    """One step of the server at `address` towards being the primary of a set whose only member is `member`.

    The first steps make the set and its first user, for which a mongod without users asks no password on its own
    machine. Data that were written under another port carry that port as the member's name, so the set is told the
    new one. Raises `OperationFailure` where our password is not the one that the data know.
    """
    password = secrets.password(f"mongo-{ADMIN}")
    alone = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": member}]}
    try:
        with _client(f"{ADMIN}:{password}@{address}") as client:
            config = client.admin.command("replSetGetConfig")["config"]
            if config["members"][0]["host"] != member:
                newer = {**alone, "version": config["version"] + 1}
                client.admin.command({"replSetReconfig": newer, "force": True})
            return bool(client.admin.command("hello")["isWritablePrimary"])
    except OperationFailure as error:
        if error.code != _NOT_KNOWN:
            return False
    except PyMongoError:
        return False
    with _client(address) as client:
        try:
            if client.admin.command("hello")["isWritablePrimary"]:
                client.admin.command({"createUser": ADMIN, "pwd": password, "roles": ["root"]})
            else:
                client.admin.command("replSetInitiate", alone)
        except OperationFailure as error:
            if error.code == _NOT_ALLOWED:  # there are users, but not ours
                raise
        except PyMongoError:
            pass
    return False


def _client(address: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(
        f"mongodb://{address}/?directConnection=true", serverSelectionTimeoutMS=500, connectTimeoutMS=500
    )


class MongoServer(Daemon):
    """A mongod whose data survive a restart and a crash."""

    start_seconds = 120.0  # after a crash it replays its journal

    def __init__(self, home: Home, *, port: int, cache_gb: float, secrets: Secrets) -> None:
        super().__init__("mongod", home, ports={"MONGO_PORT": port})
        self._address = f"127.0.0.1:{port}"
        self._port = port
        self._cache_gb = cache_gb
        self._data = home.data("mongod")
        self._secrets = secrets

    def url_of(self, user: str) -> str:
        """How a user reaches it."""
        return url_of(user, address=self._address, secrets=self._secrets)

    def command(self) -> Sequence[str]:
        """The server itself; it prints its log."""
        return [
            str(mongod()),
            *("--dbpath", str(self._data)),
            *("--bind_ip", "127.0.0.1", "--port", str(self._port), "--nounixsocket"),
            *("--wiredTigerCacheSizeGB", str(self._cache_gb)),
            *("--keyFile", str(self._secrets.folder / KEY)),
            *server_options(),
        ]

    def last_words(self) -> list[str]:
        """Its errors only, where it names any: the chatter of a shutdown follows them."""
        errors = [line for line in self.log_since_start() if '"s":"E"' in line or '"s":"F"' in line]
        return errors[-3:] or super().last_words()

    def prepare(self) -> None:
        """Make the place for its data, and the key by which members of a set know each other; it locks the door too."""
        self._data.mkdir(parents=True, exist_ok=True)
        self._secrets.password(KEY)

    def is_ready(self) -> bool:
        """Whether it takes writes as the primary of its replica set. Raises `ForeignDataError`; nothing runs then."""
        try:
            return become_primary(self._address, member=self._address, secrets=self._secrets)
        except OperationFailure:
            self.stop()
            raise ForeignDataError(self.name, self._data, self._secrets.folder) from None
