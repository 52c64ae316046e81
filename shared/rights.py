"""Who may do what on Kafka: one table, from which the broker's rights and the table in docs/security.md are made."""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from shared.contracts import CONTRACTS
from shared.pipeline.reading import Subscription
from shared.topics import partner_topics, sandbox_topics

OPERATOR: Final = "operator"
EVERY: Final = "*"


class Kind(StrEnum):
    """What a right is about."""

    TOPIC = "topic"
    GROUP = "group"


class Operation(StrEnum):
    """What a right allows. Reading and writing include describing; reading a group is to belong to it and to commit."""

    READ = "read"
    WRITE = "write"
    DESCRIBE = "describe"


class Right(NamedTuple):
    """One permission. `name` is a topic or group, or `*` for every one; where it ends in a dot it is how names begin:
    no id of a partner holds a dot, so none begins as another does."""

    kind: Kind
    name: str
    operation: Operation


def own_users(partner_id: str) -> tuple[str, str]:
    """A partner's two users: a password is changed by going over to the other."""
    return f"partner-{partner_id}-1", f"partner-{partner_id}-2"


def gateway_user(partner_id: str) -> str:
    """As whom the gateway acts for a partner, with the partner's rights and no others."""
    return f"partner-{partner_id}-gateway"


def rights_of_service(service: str, subscriptions: Sequence[Subscription], topics: Iterable[str]) -> Iterator[Right]:
    """What a service may do on these topics: read what it subscribes to, write what it publishes, use its groups."""
    published = [contract for contract in CONTRACTS if contract.publisher in (service, "every service")]
    for topic in topics:
        if any(re.match(subscription.pattern, topic) for subscription in subscriptions):
            yield Right(Kind.TOPIC, topic, Operation.READ)
        if any(contract.belongs_on(topic) for contract in published) and _is_own(topic, service):
            yield Right(Kind.TOPIC, topic, Operation.WRITE)
    for subscription in subscriptions:
        yield Right(Kind.GROUP, subscription.group, Operation.READ)


def rights_of_partner(partner_id: str) -> Iterator[Right]:
    """What each user of a partner may: read its queue, write its replies, in groups of its own; in its sandbox too."""
    for queue, replies in (partner_topics(partner_id), sandbox_topics(partner_id)):
        yield Right(Kind.TOPIC, queue.name, Operation.READ)
        yield Right(Kind.TOPIC, replies.name, Operation.WRITE)
    yield Right(Kind.GROUP, f"{partner_id}.", Operation.READ)


def rights_of_operator(partner_ids: Iterable[str]) -> Iterator[Right]:
    """What `wegweiser` may do for an operator: look at everything, and try out partners' software in the sandboxes."""
    yield Right(Kind.TOPIC, EVERY, Operation.READ)
    yield Right(Kind.GROUP, EVERY, Operation.DESCRIBE)
    for queue, _ in map(sandbox_topics, partner_ids):
        yield Right(Kind.TOPIC, queue.name, Operation.WRITE)


def allows(rights: Iterable[Right], kind: Kind, name: str, operation: str) -> bool:
    """Whether these rights allow an operation on a topic or group."""
    return any(
        right.kind == kind
        and (name == right.name or right.name == EVERY or (right.name.endswith(".") and name.startswith(right.name)))
        and operation in (right.operation, Operation.DESCRIBE)
        for right in rights
    )


def _is_own(topic: str, service: str) -> bool:
    """Every service publishes records it set aside, but each on a topic of its own."""
    return not topic.endswith(".dead-letters.v1") or topic.startswith(f"{service}.")
