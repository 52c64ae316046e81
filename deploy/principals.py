"""Lets users into Kafka and MongoDB with the rights they should have, and no others. All of it may be repeated."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, cast

from aiokafka.errors import KafkaConnectionError
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from pymongo import MongoClient
from pymongo.uri_parser import parse_uri

from shared.kafka_access import KafkaAccess
from shared.rights import Right

_ITERATIONS: Final = 4096
"""What Kafka itself uses: the passwords have 256 random bits, which nobody tries out."""
_ITERATIONS_OF_DISMISSED: Final = 2 * _ITERATIONS
"""Tells whom we dismissed from whom we let in."""
_ANSWER_SECONDS: Final = 30.0


def admit(admin: KafkaAccess, users: Iterable[KafkaAccess]) -> None:
    """Let each of these users sign in with its password. Raises `KafkaError` where the broker does not answer."""
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
    wanted = []
    for user in users:
        assert user.kafka_sasl_password is not None, "they sign in"
        password = user.kafka_sasl_password.get_secret_value()
        wanted.append(UserScramCredentialUpsertion(user.kafka_sasl_username, info, password.encode()))
    client = AdminClient(librdkafka(admin))  # what was asked dies with it
    _done(client.alter_user_scram_credentials(wanted))


def dismiss(admin: KafkaAccess, users: Iterable[str]) -> None:
    """Let these users sign in no more. Raises `KafkaError` where the broker does not answer.

    They get a password that nobody knows. Their credentials are not deleted: Kafka 4.1 that starts again after a
    deletion can forget the credentials of everybody, the administrator's too.
    """
    client = AdminClient(librdkafka(admin))
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS_OF_DISMISSED)
    _done(
        client.alter_user_scram_credentials(
            [UserScramCredentialUpsertion(user, info, secrets.token_bytes(32)) for user in users]
        )
    )


def users_of(admin: KafkaAccess) -> set[str]:
    """Everybody who can sign in. Raises `KafkaError` where the broker does not answer."""
    client = AdminClient(librdkafka(admin))
    [known] = _done({None: client.describe_user_scram_credentials()})
    return {
        user
        for user, description in known.items()
        if any(info.iterations != _ITERATIONS_OF_DISMISSED for info in description.scram_credential_infos)
    }


def who_has_rights(admin: KafkaAccess) -> set[str]:
    """Every principal that may do anything at all. Raises `KafkaError` where the broker does not answer."""
    return {binding.principal.removeprefix("User:") for binding in _everything(admin)}


def who_has_others(admin: KafkaAccess, rights: Mapping[str, Iterable[Right]]) -> set[str]:
    """Which of these principals may something else than that. Raises `KafkaError` where the broker does not answer."""
    found = _everything(admin)
    return {
        principal
        for principal, wanted in rights.items()
        if {_binding(principal, right) for right in wanted}
        != {binding for binding in found if binding.principal == f"User:{principal}"}
    }


def grant(admin: KafkaAccess, rights: Mapping[str, Iterable[Right]]) -> None:
    """Give each principal exactly these rights: what is missing is added, what is too much is taken away.

    Raises `KafkaError` where the broker does not answer.
    """
    client = AdminClient(librdkafka(admin))
    for principal, wanted_rights in rights.items():
        wanted = {_binding(principal, right) for right in wanted_rights}
        everything = _bindings_of(f"User:{principal}")
        [found] = _done({everything: client.describe_acls(everything)})
        if missing := wanted.difference(found):
            _done(client.create_acls(list(missing)))
        if surplus := set(found) - wanted:
            _done(client.delete_acls([_exactly(binding) for binding in surplus]))


def admit_to_mongo(admin_url: str, urls: Iterable[str]) -> None:
    """Let the user of each of these URLs read and write the database of its own name. Raises `PyMongoError`."""
    client: MongoClient[dict[str, Any]] = MongoClient(admin_url)
    with client:
        for url in urls:
            named = parse_uri(url)
            user = named["username"]
            known = client.admin.command("usersInfo", user)["users"]
            command = "updateUser" if known else "createUser"
            roles = [{"role": "readWrite", "db": user}]
            client.admin.command({command: user, "pwd": named["password"], "roles": roles})


def librdkafka(access: KafkaAccess) -> dict[str, str | None]:
    """The same access as confluent-kafka takes it."""
    assert access.kafka_sasl_password is not None, "where nobody signs in there are no users"
    return {
        "bootstrap.servers": access.kafka_bootstrap,
        "security.protocol": access.kafka_security_protocol,
        "sasl.mechanism": access.kafka_sasl_mechanism,
        "sasl.username": access.kafka_sasl_username,
        "sasl.password": access.kafka_sasl_password.get_secret_value(),
        "ssl.ca.location": str(access.kafka_ca),
    }


def _done(asked: Mapping[Any, "Future[Any]"]) -> list[Any]:
    try:
        return [future.result(_ANSWER_SECONDS) for future in asked.values()]
    except (KafkaException, TimeoutError) as error:
        raise KafkaConnectionError(str(error)) from None


def _everything(admin: KafkaAccess) -> Sequence[AclBinding]:
    client = AdminClient(librdkafka(admin))
    [found] = _done({None: client.describe_acls(_bindings_of(None))})
    return cast("Sequence[AclBinding]", found)


def _binding(principal: str, right: Right) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if right.name.endswith(".") else ResourcePatternType.LITERAL
    return AclBinding(
        ResourceType[right.kind.name],
        right.name,
        pattern,
        f"User:{principal}",
        "*",
        AclOperation[right.operation.name],
        AclPermissionType.ALLOW,
    )


def _bindings_of(principal: str | None) -> AclBindingFilter:
    """Those of one principal, or of everybody."""
    return AclBindingFilter(
        ResourceType.ANY,
        None,
        ResourcePatternType.ANY,
        principal,
        None,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )


def _exactly(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )
