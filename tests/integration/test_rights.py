"""Each principal tries everything on every topic and group, and may do what the table of rights says, nothing else."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka import KafkaException
from toy.batches import write_batch
from toy.records import Written
from toy.trial import eventually
from tries import Tries, may

from deploy.backends import Backends
from deploy.principals import admit, grant
from shared.rights import (
    Kind,
    Operation,
    Right,
    allows,
    gateway_user,
    own_users,
    rights_of_operator,
    rights_of_partner,
)
from shared.topics import provision, topics_for
from wegweiser.platform import rights_with

PARTNERS = ("awo", "vhs")
RIGHTS = {
    **rights_with(PARTNERS),
    **{user: list(rights_of_partner(id_)) for id_ in PARTNERS for user in (*own_users(id_), gateway_user(id_))},
    "nobody": [],
}
TOPICS = [topic.name for topic in topics_for(PARTNERS)]
OFFSETS = "__consumer_offsets"
"""A topic of Kafka's own, which tells who reads what."""
GROUPS = ["intake", "routing", "routing-replies", "scheduling", "notify", "awo.sample", "vhs.sample"]
ON_TOPICS = ("create", "alter", "delete", "grow", "inspect", "empty")
"""What is nobody's but the administrator's."""


async def _coordinated(backends: Backends) -> bool:
    """Whether the broker has read what it knows of groups and of producers, the first of which make it do so."""
    admin = Tries(backends, "admin")
    try:
        await asyncio.to_thread(admin.write_each_record_once, "")
        for group in GROUPS:
            await asyncio.to_thread(admin.describe_group, group)
            await asyncio.to_thread(admin.read_group, group)
    except KafkaException:
        return False
    return True


def deviations(tries: Tries, principal: str) -> list[str]:
    """What the broker allows otherwise than the table says."""
    found = []
    for kind, names, operations in (
        (Kind.TOPIC, [*TOPICS, OFFSETS], ("read", "write", "describe", *ON_TOPICS)),
        (Kind.GROUP, GROUPS, ("read", "describe", "delete")),
    ):
        for operation in operations:
            for name in names:
                expected = allows(RIGHTS[principal], kind, name, operation)
                if may(getattr(tries, f"{operation}_{kind}"), name) != expected:
                    found.append(f"{principal} {'may not' if expected else 'may'} {operation} {kind} {name}")
    writes = any(right.operation is Operation.WRITE for right in RIGHTS[principal])
    if may(tries.write_each_record_once, "") != writes:
        found.append(f"{principal} {'may not' if writes else 'may'} write_each_record_once")
    orders = (
        tries.make_a_user,
        tries.give_itself_a_right,
        tries.lift_its_limits,
        tries.hold_up_readers,
        tries.look_at_rights,
        tries.look_at_users,
        tries.look_at_limits,
    )
    return found + [f"{principal} may {order.__name__}" for order in orders if may(order, TOPICS[0])]


@pytest.fixture(scope="module", autouse=True)
async def granted(backends: Backends) -> AsyncIterator[None]:
    """Every topic with a record, and the rights."""
    if not backends.servers:
        pytest.skip("BACKEND=external: users and rights are not ours")
    await provision(backends.kafka, topics_for(PARTNERS))
    for topic in TOPICS:
        await write_batch(backends.kafka, topic, [Written()])
    for _ in range(2):  # a second start changes nothing
        admit(backends.kafka, map(backends.kafka_of, RIGHTS))
        grant(backends.kafka, RIGHTS)
    await eventually(partial(_coordinated, backends), what="the coordinators of the groups")
    yield
    grant(backends.kafka, dict.fromkeys(RIGHTS, ()))
    admin = AIOKafkaAdminClient(**backends.kafka.options)
    await admin.start()
    try:
        await admin.delete_topics(TOPICS)
    finally:
        await admin.close()


@pytest.mark.parametrize("principal", RIGHTS)
async def test_a_principal_may_do_what_the_table_says_and_nothing_else(backends: Backends, principal: str) -> None:
    assert await asyncio.to_thread(deviations, Tries(backends, principal), principal) == []


async def test_a_right_that_is_not_in_the_table_any_more_is_taken_away(backends: Backends) -> None:
    tries = Tries(backends, "nobody")

    async def reads() -> bool:
        return may(tries.describe_topic, TOPICS[0])

    async def reads_no_more() -> bool:
        return not await reads()

    grant(backends.kafka, {"nobody": [Right(Kind.TOPIC, TOPICS[0], Operation.READ), *rights_of_operator(())]})
    await eventually(reads)
    grant(backends.kafka, {"nobody": []})
    await eventually(reads_no_more)


async def test_who_has_the_right_may_ask_all_that_others_may_not(backends: Backends) -> None:
    """So a refusal is no fault of the question."""
    tries = Tries(backends, "admin")
    questions = (tries.inspect_topic, tries.look_at_rights, tries.look_at_users, tries.look_at_limits)
    assert [question.__name__ for question in questions if not await asyncio.to_thread(may, question, TOPICS[0])] == []
