"""Who was dismissed stays out, and everybody else can still sign in when Kafka was started again."""

import secrets
from uuid import uuid4

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from deploy.backends import Backends
from deploy.principals import admit, dismiss, users_of


async def signs_in(backends: Backends, user: str | None = None) -> bool:
    """The administrator, or another user with the password it was let in with."""
    access = backends.kafka_of(user) if user else backends.kafka
    admin = AIOKafkaAdminClient(**access.options)
    try:
        await admin.start()
    except KafkaConnectionError:
        return False
    finally:
        await admin.close()
    return True


async def test_after_dismissals_a_restarted_kafka_knows_everybody_else(breakable: Backends) -> None:
    run = secrets.token_hex(4)
    gone = [f"gone-{run}-{number}" for number in range(4)]
    stays = f"stays-{run}"
    admit(breakable.kafka, [breakable.kafka_of(user) for user in (stays, *gone)])
    for user in gone:
        dismiss(breakable.kafka, [user])

    for server in breakable.servers:
        server.kill()
    breakable.start()

    assert await signs_in(breakable)
    assert await signs_in(breakable, stays)
    assert not [user for user in gone if await signs_in(breakable, user)]
    assert users_of(breakable.kafka).isdisjoint(gone)
    assert stays in users_of(breakable.kafka)


async def test_who_was_dismissed_can_be_let_in_again(backends: Backends) -> None:
    user = f"back-{uuid4().hex[:8]}"
    admit(backends.kafka, [backends.kafka_of(user)])
    dismiss(backends.kafka, [user])
    admit(backends.kafka, [backends.kafka_of(user)])

    assert await signs_in(backends, user)
    assert user in users_of(backends.kafka)
