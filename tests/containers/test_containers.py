"""The same contract against containers: the official images, or local ones by `build_images.py`."""

import gc
import os
import warnings
from collections.abc import Iterator

import pytest
from backend_contract import BackendContract
from docker.errors import DockerException
from testcontainers.core.docker_client import DockerClient

from deploy.backends import Backends
from deploy.backends import backends as backends_from
from deploy.settings import BackendSettings

pytestmark = pytest.mark.containers


def what_is_missing(images: list[str]) -> str | None:
    """Why containers cannot be tried here, None where they can; pulls images that are not here yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the client leaves its socket open where nobody answers
        missing = ask_for(images)
        gc.collect()
    return missing


def ask_for(images: list[str]) -> str | None:
    try:
        engine = DockerClient().client
    except DockerException as error:
        return f"no container engine answers ({error})"
    try:
        for image in images:
            if not engine.images.list(name=image):
                engine.images.pull(image)
    except DockerException as error:
        return f"the images {', '.join(images)} are not to be had ({error}); build_images.py makes local ones"
    finally:
        engine.close()
    return None


@pytest.fixture(scope="module")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """Kafka and MongoDB in containers. REQUIRE_DOCKER=1 makes a failure of their absence."""
    settings = BackendSettings(backend="containers", var_dir=tmp_path_factory.mktemp("backends"), mongo_cache_gb=0.25)
    if missing := what_is_missing([settings.kafka_image, settings.mongo_image]):
        if os.environ.get("REQUIRE_DOCKER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    found = backends_from(settings)
    try:
        found.start()
        yield found
    finally:
        found.discard()


class TestContainers(BackendContract):
    """Kafka in KRaft mode, MongoDB as a replica set, both on ports of 127.0.0.1."""
