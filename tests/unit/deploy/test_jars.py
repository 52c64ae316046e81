"""Kafka's jars are fetched once, checked against the lock, and found without a network from then on."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from deploy.embedded import java
from deploy.embedded.java import FetchError, Jar, kafka_jars, locked_jars

PLACE = "org/example/tool/1.0/tool-1.0.jar"


class Repository:
    """Stands in for Maven Central: counts what is asked of it."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[str] = []

    def __call__(self, cache: Path) -> "Repository":
        self.cache = cache
        return self

    def create_dependency(self, coordinate: object) -> "Repository":
        self.asked.append(str(coordinate))
        return self

    @property
    def artifact(self) -> "Repository":
        return self

    def resolve(self) -> None:
        jar = self.cache / PLACE
        jar.parent.mkdir(parents=True, exist_ok=True)
        jar.write_bytes(self.content)


@pytest.fixture
def offering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Repository]:
    """Locks one jar with the content `right`, and lets a repository offer any content for it."""
    lock = tmp_path / "jars.sha256"
    lock.write_text(f"{sha256(b'right').hexdigest()}  {PLACE}\n")
    monkeypatch.setattr(java, "LOCK", lock)

    def offer(content: bytes) -> Repository:
        repository = Repository(content)
        monkeypatch.setattr(java, "_maven", repository)
        return repository

    return offer


def test_the_second_start_asks_nobody(offering: Callable[[bytes], Repository], tmp_path: Path) -> None:
    repository = offering(b"right")
    first = kafka_jars(tmp_path / "cache")
    second = kafka_jars(tmp_path / "cache")
    assert first == second == [tmp_path / "cache" / PLACE]
    assert len(repository.asked) == 1


def test_a_part_of_a_jar_from_an_interrupted_download_is_fetched_again(
    offering: Callable[[bytes], Repository], tmp_path: Path
) -> None:
    offering(b"right")
    jar = tmp_path / "cache" / PLACE
    jar.parent.mkdir(parents=True)
    jar.write_bytes(b"rig")
    kafka_jars(tmp_path / "cache")
    assert jar.read_bytes() == b"right"


def test_a_jar_that_is_not_the_locked_one_is_not_used(offering: Callable[[bytes], Repository], tmp_path: Path) -> None:
    offering(b"wrong")
    with pytest.raises(FetchError, match=r"org\.example:tool:1\.0 is not the file that"):
        kafka_jars(tmp_path / "cache")


def test_the_lock_names_the_broker_and_its_tools_in_one_version() -> None:
    kafka = {jar.coordinate for jar in locked_jars() if jar.coordinate.startswith("org.apache.kafka:")}
    assert {"org.apache.kafka:kafka_2.13:4.1.0", "org.apache.kafka:kafka-tools:4.1.0"} <= kafka
    assert {coordinate.rpartition(":")[2] for coordinate in kafka} == {"4.1.0"}


def test_a_place_in_the_repository_spells_the_coordinate() -> None:
    [jar] = (jar for jar in locked_jars() if "log4j-slf4j-impl" in jar.place.name)
    assert jar == Jar(jar.place, jar.sha256)
    assert jar.coordinate == "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"
