"""Consumer groups of partners. Kafka knows no limit for them and keeps what they have committed in memory for a month:
a partner that makes one after another would, in time, take the broker away from everybody."""

from collections.abc import Iterable, Mapping
from typing import Final

from aiokafka.errors import KafkaConnectionError
from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from deploy.principals import librdkafka
from shared.kafka_access import KafkaAccess

MOST_GROUPS: Final = 100
"""Of one partner."""
_ANSWER_SECONDS: Final = 5.0


class Groups:
    """The consumer groups of a Kafka, seen by its administrator."""

    def __init__(self, admin: KafkaAccess) -> None:
        self._client = AdminClient(librdkafka(admin))

    def forget_surplus(self, partner_ids: Iterable[str]) -> Mapping[str, int]:
        """Forget the groups without members that a partner has too many of; how many, by partner.

        Raises `KafkaConnectionError` where the broker does not answer.
        """
        try:
            known = self._client.list_consumer_groups().result(_ANSWER_SECONDS).valid
            with_members = {group.group_id: group.state is not ConsumerGroupState.EMPTY for group in known}
            found = {id_: surplus(id_, with_members) for id_ in partner_ids}
            numbers = {id_: self._forgotten(names) for id_, names in found.items() if names}
        except (KafkaException, TimeoutError) as error:
            raise KafkaConnectionError(str(error)) from None
        return {id_: number for id_, number in numbers.items() if number}

    def _forgotten(self, names: list[str]) -> int:
        """How many are gone; one that somebody has joined meanwhile stays."""
        gone = self._client.delete_consumer_groups(names)
        return sum(future.exception(_ANSWER_SECONDS) is None for future in gone.values())


def surplus(partner_id: str, with_members: Mapping[str, bool], *, most: int = MOST_GROUPS) -> list[str]:
    """A partner's groups to be forgotten: of those without members the last by name, as many as there are too many."""
    own = sorted(name for name in with_members if name.startswith(f"{partner_id}."))
    empty = [name for name in own if not with_members[name]]
    return empty[max(0, len(empty) - max(0, len(own) - most)) :]
