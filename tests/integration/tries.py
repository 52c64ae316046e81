"""What somebody tries at Kafka, and whether it was allowed."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError as RefusedByKafka
from aiokafka.protocol.admin import DeleteRecordsRequest, DescribeAclsRequest
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from scram_question import WhoSignsIn

from deploy.backends import Backends
from deploy.principals import librdkafka
from deploy.quotas import limit, limits

LACKING = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}
HAVING = {KafkaError.TOPIC_ALREADY_EXISTS, KafkaError.GROUP_ID_NOT_FOUND}
"""What is said only to who has the right."""
PATIENCE = 10
_ANYTHING = (1, None, 1, None, None, 1, 1)


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

    def grow_topic(self, topic: str) -> None:
        _answer(self._admin.create_partitions([NewPartitions(topic, 60)], validate_only=True))

    def inspect_topic(self, topic: str) -> None:
        _answer(self._admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))

    def empty_topic(self, topic: str) -> None:
        wanted = DeleteRecordsRequest([(topic, [(0, 0)])], PATIENCE * 1000)
        _raise(KafkaError(self._asked(wanted).topics[0][1][0][2]))

    def read_group(self, group: str) -> None:
        wanted = OffsetCommitRequest(group, -1, "", -1, [("intake.cases.v1", [(0, 0, "")])])
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

    def look_at_rights(self, _: str) -> None:
        wanted = DescribeAclsRequest(*_ANYTHING)
        _raise(KafkaError(self._asked(wanted).error_code))

    def look_at_users(self, _: str) -> None:
        _raise(KafkaError(self._asked(WhoSignsIn()).error_code))

    def look_at_limits(self, _: str) -> None:
        try:
            limits(self._access)
        except RefusedByKafka as error:
            _raise(KafkaError(error.errno))

    def write_each_record_once(self, _: str) -> None:
        """As idempotent producers do."""
        _raise(KafkaError(self._asked(InitProducerIdRequest(None, 0)).error_code))

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


def may(attempt: Callable[[str], None], name: str) -> bool:
    try:
        attempt(name)
    except KafkaException as error:
        code = error.args[0].code()
        if code not in LACKING | HAVING:
            raise
        return code in HAVING
    return True
