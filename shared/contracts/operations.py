"""What every service tells its operators on `<service>.dead-letters.v1`: coordinates and a reason, never content."""

from shared.contracts.base import Event, Id, Offset, Partition, ServiceName, TopicName
from shared.contracts.codes import SetAsideReason

TOPIC = "{service}.dead-letters.v1"


class RecordSetAside(Event):
    """A record could not be processed; its bytes wait in the service's own collection.

    `original_key` is the record's key where that is an id; a key that is anything else may hold a name
    and is replaced by `record_id`.
    """

    service: ServiceName
    record_id: Id
    topic: TopicName
    partition: Partition
    offset: Offset
    reason: SetAsideReason
    original_key: Id
