"""What the operators' tools have to know to ask Kafka."""

import asyncio
import logging
import re
from collections.abc import Coroutine, Iterable, Sequence
from importlib import import_module
from typing import Any, TypeVar

from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from shared.pipeline.reading import Subscription
from wegweiser.addresses import Bus, found, stop

R = TypeVar("R")


def subscriptions_of(service: str) -> Sequence[Subscription]:
    """What a service reads, and in which groups; it need not run."""
    subscriptions: Sequence[Subscription] = import_module(f"services.{service}.handlers").SUBSCRIPTIONS
    return subscriptions


def ask(question: Coroutine[Any, Any, R], *, patience: float | None = None) -> R:
    """Run `question`; ends the command with one line where Kafka does not answer, in `patience` seconds if given."""
    client = logging.getLogger("aiokafka")
    loudness = client.level
    client.setLevel(logging.CRITICAL)  # it would tell of each attempt
    try:
        return asyncio.run(asyncio.wait_for(question, patience))
    except TimeoutError:
        stop("Kafka does not answer" + (f" within {patience:g} seconds" if patience else ""))
    except (TopicAuthorizationFailedError, GroupAuthorizationFailedError, ClusterAuthorizationFailedError):
        stop(f"signed in as {found(Bus).kafka_sasl_username or 'nobody'}, not as an operator", code=1)
    except KafkaError as error:
        stop(f"Kafka does not answer as expected ({type(error).__name__})")
    finally:
        client.setLevel(loudness)


def matching(topics: Iterable[str], subscription: Subscription) -> list[str]:
    """The topics a subscription reads."""
    return [topic for topic in topics if re.match(subscription.pattern, topic)]
