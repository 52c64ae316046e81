"""Lets users into Kafka and MongoDB with the rights they should have, and no others. All of it may be repeated."""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

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

Rights = Mapping[str, Collection[Right]]
"""What each of some principals may do."""

_ITERATIONS: Final = 4096
"""What Kafka itself uses: the passwords have 256 random bits, which nobody tries out."""
_ITERATIONS_OF_DISMISSED: Final = 2 * _ITERATIONS
"""Tells whom we dismissed from whom we let in."""
_OF_ADMINISTRATORS: Final = (
    AclOperation.ALTER,
    AclOperation.ALTER_CONFIGS,
    AclOperation.DESCRIBE,
    AclOperation.DESCRIBE_CONFIGS,
)
_ANSWER_SECONDS: Final = 30.0
_CRITICAL: Final = 2
"""What the library may say on the terminal (syslog); the rest of it is in what it raises."""


def administrator_lacks(admin: KafkaAccess) -> list[str]:
    """What an administrator of users, rights and limits has to be allowed on the cluster, and this one is not.

    To be asked first: where it may not look, confluent-kafka 2.16.1 sees no rights at all, and ends the process when it
    asks for users. Raises `KafkaError` where the broker does not say.
    """
    [cluster] = _answers(admin, lambda client: {None: client.describe_cluster(include_authorized_operations=True)})
    return [needed.name for needed in _OF_ADMINISTRATORS if needed not in (cluster.authorized_operations or ())]


def admit(admin: KafkaAccess, users: Iterable[KafkaAccess]) -> None:
    """Let each of these users sign in with its password. Raises `KafkaError` where the broker does not do so."""
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
    wanted = []
    for user in users:
        assert user.kafka_sasl_password is not None, "they sign in"
        password = user.kafka_sasl_password.get_secret_value()
        wanted.append(UserScramCredentialUpsertion(user.kafka_sasl_username, info, password.encode()))
    _answers(admin, lambda client: client.alter_user_scram_credentials(wanted))


def dismiss(admin: KafkaAccess, users: Iterable[str]) -> None:
    """Let these users sign in no more. Raises `KafkaError` where the broker does not do so.

    They get a password that nobody knows. Their credentials are not deleted: Kafka 4.1 that starts again after a
    deletion can forget the credentials of everybody, the administrator's too.
    """
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS_OF_DISMISSED)
    unknown = [UserScramCredentialUpsertion(user, info, secrets.token_bytes(32)) for user in users]
    _answers(admin, lambda client: client.alter_user_scram_credentials(unknown))


def users_of(admin: KafkaAccess) -> set[str]:
    """Everybody who can sign in. Raises `KafkaError` where the broker does not say."""
    [known] = _answers(admin, lambda client: {None: client.describe_user_scram_credentials()})
    return {
        user
        for user, description in known.items()
        if any(info.iterations != _ITERATIONS_OF_DISMISSED for info in description.scram_credential_infos)
    }


def who_has_rights(admin: KafkaAccess) -> set[str]:
    """Every principal that may do anything at all. Raises `KafkaError` where the broker does not say."""
    return {binding.principal.removeprefix("User:") for binding in _everything(admin)}


def who_has_others(admin: KafkaAccess, rights: Rights) -> set[str]:
    """Which of these principals may something else than that. Raises `KafkaError` where the broker does not say."""
    found = _everything(admin)
    return {
        principal
        for principal, wanted in rights.items()
        if {_binding(principal, right) for right in wanted}
        != {binding for binding in found if binding.principal == f"User:{principal}"}
    }


def who_lacks(admin: KafkaAccess, rights: Rights) -> set[str]:
    """Which of these principals may not do all of that. Raises `KafkaError` where the broker does not say."""
    lacking = _bindings(rights) - _everything(admin)
    return {binding.principal.removeprefix("User:") for binding in lacking}


def give(admin: KafkaAccess, rights: Rights) -> None:
    """Add what each principal lacks of these rights; nothing is taken away. Raises `KafkaError`."""
    if missing := _bindings(rights) - _everything(admin):
        _answers(admin, lambda client: client.create_acls(list(missing)))


def grant(admin: KafkaAccess, rights: Rights) -> None:
    """Give each principal exactly these rights: what is missing is added, what is too much is taken away.

    All that is taken away goes at once, or not at all. Raises `KafkaError` where the broker does not do so.
    """
    give(admin, rights)
    found = {binding for binding in _everything(admin) if binding.principal.removeprefix("User:") in rights}
    if surplus := found - _bindings(rights):
        _answers(admin, lambda client: client.delete_acls([_exactly(binding) for binding in surplus]))


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


def librdkafka(access: KafkaAccess) -> dict[str, str | int | None]:
    """The same access as confluent-kafka takes it."""
    assert access.kafka_sasl_password is not None, "where nobody signs in there are no users"
    options: dict[str, str | int | None] = {
        "log_level": _CRITICAL,
        "bootstrap.servers": access.kafka_bootstrap,
        "security.protocol": access.kafka_security_protocol,
        "sasl.mechanism": access.kafka_sasl_mechanism,
        "sasl.username": access.kafka_sasl_username,
        "sasl.password": access.kafka_sasl_password.get_secret_value(),
    }
    return options if access.kafka_ca is None else {**options, "ssl.ca.location": str(access.kafka_ca)}


def _answers(admin: KafkaAccess, ask: Callable[[AdminClient], Mapping[Any, "Future[Any]"]]) -> list[Any]:
    try:
        client = AdminClient(librdkafka(admin))  # what was asked dies with it
        return [future.result(_ANSWER_SECONDS) for future in ask(client).values()]
    except KafkaException as error:
        raise KafkaConnectionError(error.args[0].str()) from None
    except TimeoutError:
        raise KafkaConnectionError(f"no answer within {_ANSWER_SECONDS:.0f} seconds") from None


def _everything(admin: KafkaAccess) -> set[AclBinding]:
    any_kind, any_pattern, any_type = ResourceType.ANY, ResourcePatternType.ANY, AclPermissionType.ANY
    everything = AclBindingFilter(any_kind, None, any_pattern, None, None, AclOperation.ANY, any_type)
    [found] = _answers(admin, lambda client: {None: client.describe_acls(everything)})
    return set(found)


def _bindings(rights: Rights) -> set[AclBinding]:
    return {_binding(principal, right) for principal, wanted in rights.items() for right in wanted}


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
