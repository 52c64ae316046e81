"""A partner of its own for each test that asks for an office, or for a candidate whose software is tried out."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from candidates import Candidate, a_candidate
from letting_in import Office

from deploy.backends import Backends
from shared.topics import topics_of_partner


@pytest.fixture
async def office(backends: Backends, tmp_path: Path) -> AsyncIterator[Office]:
    if not backends.servers:
        pytest.skip("BACKEND=external: users and rights are not ours")
    made = Office(backends, tmp_path)
    yield made
    await made.change(made.onboarding.removing)
    admin = AIOKafkaAdminClient(**backends.kafka.options)
    await admin.start()
    await admin.delete_topics([topic.name for topic in topics_of_partner(made.id)])
    await admin.close()


@pytest.fixture
async def candidate(backends: Backends, tmp_path: Path) -> AsyncIterator[Candidate]:
    async with a_candidate(backends, tmp_path) as made:
        yield made
