"""Each principal tries everything on every topic and group, and may do what the table of rights says, nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError as RefusedByKafka
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.fetch import FetchRequest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from toy.batches import write_batch
from toy.records import Written
from toy.trial import eventually

from deploy.backends import Backends
from deploy.principals import admit, grant, librdkafka
from deploy.quotas import limit
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
GROUPS = ["intake", "routing", "routing-replies", "scheduling", "notify", "awo.sample", "vhs.sample"]
LACKING = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
HAVING = {KafkaError.TOPIC_ALREADY_EXISTS, KafkaError.GROUP_ID_NOT_FOUND}
"""What is said only to who has the right."""
PATIENCE = 10


class Tries:
    """One principal, and what it tries. Each answers whether it was allowed."""

    def __init__(self, backends: Backends, principal: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._access = backends.kafka_of(principal)
        login = librdkafka(self._access)
        self._admin = AdminClient(login)
        self._producer = Producer({**login, "message.timeout.ms": PATIENCE * 1000})

    def read_topic(self, topic: str) -> None:
        wanted = FetchRequest(0, 0, 1024, 0, [(topic, [(0, 0, 1024)])])
        _raise(KafkaError(self._asked(wanted).topics[0][1][0][1]))

    def write_topic(self, topic: str) -> None:
        said: list[KafkaError | None] = []
        self._producer.produce(topic, b"tried", on_delivery=lambda error, _: said.append(error))
        self._producer.flush(PATIENCE)
        _raise(said[0])

    def describe_topic(self, topic: str) -> None:
        _raise(self._admin.list_topics(topic, PATIENCE).topics[topic].error)

    def create_topic(self, topic: str) -> None:
        _answer(self._admin.create_topics([NewTopic(topic, 1, 1)], validate_only=True))

    def alter_topic(self, topic: str) -> None:
        entry = ConfigEntry("retention.ms", "1", incremental_operation=AlterConfigOpType.SET)
        wanted = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        _answer(self._admin.incremental_alter_configs([wanted], validate_only=True))

    def delete_topic(self, topic: str) -> None:
        _answer(self._admin.delete_topics([topic]))

    def read_group(self, group: str) -> None:
        wanted = OffsetCommitRequest(group, -1, "", -1, [(TOPICS[0], [(0, 0, "")])])
        error = KafkaError(self._asked(wanted).topics[0][1][0][1])
        if error.code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:  # which is asked for second
            _raise(error)

    def describe_group(self, group: str) -> None:
        _answer(self._admin.describe_consumer_groups([group]))

    def delete_group(self, group: str) -> None:
        _answer(self._admin.delete_consumer_groups([group]))

    def make_a_user(self, _: str) -> None:
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        _answer(self._admin.alter_user_scram_credentials([UserScramCredentialUpsertion("intruder", info, b"secret")]))

    def give_itself_a_right(self, topic: str) -> None:
        kind, pattern = ResourceType.TOPIC, ResourcePatternType.LITERAL
        allow = AclPermissionType.ALLOW
        _answer(self._admin.create_acls([AclBinding(kind, topic, pattern, "User:x", "*", AclOperation.ALL, allow)]))

    def lift_its_limits(self, _: str) -> None:
        try:
            limit(self._access, [str(self._access.kafka_sasl_username)], None)
        except RefusedByKafka as error:
            _raise(KafkaError(error.errno))

    def hold_up_readers(self, _: str) -> None:
        """Nobody reads on behind a transaction that does not end."""
        Producer({**librdkafka(self._access), "transactional.id": "held"}).init_transactions(PATIENCE)

    def _asked(self, request: Any) -> Any:
        """The broker's own answer: a consumer would hide it behind waiting."""
        return asyncio.run_coroutine_threadsafe(self._answered(request), self._loop).result(PATIENCE)

    async def _answered(self, request: Any) -> Any:
        options = self._access.options
        host, _, port = options.pop("bootstrap_servers").rpartition(":")
        connection = await create_conn(host, int(port), **options)
        try:
            return await connection.send(request)
        finally:
            connection.close()


def _raise(error: KafkaError | None) -> None:
    if error is not None and error.code() != KafkaError.NO_ERROR:
        raise KafkaException(error)


def _answer(asked: Mapping[Any, Any]) -> None:
    for future in asked.values():
        future.result(PATIENCE)


async def _coordinated(backends: Backends) -> bool:
    """Whether the broker has read what it knows of groups, the first of which make it do so."""
    admin = Tries(backends, "admin")
    try:
        for group in GROUPS:
            await asyncio.to_thread(admin.describe_group, group)
            await asyncio.to_thread(admin.read_group, group)
    except KafkaException:
        return False
    return True


def may(attempt: Callable[[str], None], name: str) -> bool:
    try:
        attempt(name)
    except KafkaException as error:
        code = error.args[0].code()
        if code not in LACKING | HAVING:
            raise
        return code in HAVING
    return True


def deviations(tries: Tries, principal: str) -> list[str]:
    """What the broker allows otherwise than the table says."""
    found = []
    for kind, names, operations in (
        (Kind.TOPIC, TOPICS, ("read", "write", "describe", "create", "alter", "delete")),
        (Kind.GROUP, GROUPS, ("read", "describe", "delete")),
    ):
        for operation in operations:
            for name in names:
                expected = allows(RIGHTS[principal], kind, name, operation)
                if may(getattr(tries, f"{operation}_{kind}"), name) != expected:
                    found.append(f"{principal} {'may not' if expected else 'may'} {operation} {kind} {name}")
    orders = (tries.make_a_user, tries.give_itself_a_right, tries.lift_its_limits, tries.hold_up_readers)
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
